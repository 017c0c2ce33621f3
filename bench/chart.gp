# SPDX-License-Identifier: GPL-2.0-only
#
# The benchmark's chart. Variables from report.py: dir (where the data are and the chart goes),
# goal (in U), minor and zero (instructions of a CPU's fault).

set terminal svg size 1180,860 dynamic enhanced rounded font "DejaVu Sans,Arial,sans-serif,13" background "#ffffff"
set output dir."/bench.svg"

stock = "#c8553d"
ours = "#1f6f8b"
light = "#9cc3d0"
ink = "#2b2b2b"
pale = "#8a8a8a"

set border 3 lc rgb pale lw 0.8
set tics nomirror textcolor rgb ink scale 0.4
set style fill solid 1.0 noborder
set grid ytics lc rgb "#e6e6e6" lw 0.6 lt 1
set key textcolor rgb ink samplen 2
set multiplot

# Top: what a page costs until the device has it.
set origin 0.0, 0.5
set size 1.0, 0.5
set lmargin 9
set rmargin 13
set title "First touch of a page by the device: MAP\\_DMA and the cold pass, per page (instructions)" \
	font ",14" textcolor rgb ink
set yrange [0 : *]
set xrange [-0.6 : 6.6]
set boxwidth 0.36
set xtics font ",11"
set key at graph 0.01, 0.97 left top
set arrow 1 from graph 0, first minor to graph 1, first minor nohead lc rgb pale lw 1 dt 2 front
set arrow 2 from graph 0, first zero to graph 1, first zero nohead lc rgb pale lw 1 dt 2 front
set label 1 "U, minor fault" at graph 1, first minor left offset 0.5, 0 textcolor rgb pale font ",11" front
set label 2 "Z, zero-fill" at graph 1, first zero left offset 0.5, 0 textcolor rgb pale font ",11" front
plot dir."/touch.dat" using ($0 - 0.19):2:xtic(1) with boxes lc rgb stock title "stock type1", \
     "" using ($0 + 0.19):3 with boxes lc rgb ours title "vfio-iopf", \
     "" using ($0 - 0.19):2:(sprintf("%.0f", $2)) with labels offset 0, 0.6 textcolor rgb stock font ",10" notitle, \
     "" using ($0 + 0.19):3:(sprintf("%.0f", $3)) with labels offset 0, 0.6 textcolor rgb ours font ",10" notitle
unset arrow
unset label
set rmargin 2
set bmargin 3.5

# Bottom left: a single fault.
set origin 0.0, 0.0
set size 0.5, 0.48
set title "One fault on a present page, in minor faults of the CPU (U)" font ",14" textcolor rgb ink
set yrange [0 : goal * 1.2]
set xrange [-0.6 : 3.6]
set key at graph 0.99, 0.78 right top
set arrow 3 from graph 0, first goal to graph 1, first goal nohead lc rgb stock lw 1.4 dt 2 front
set label 3 "goal" at graph 1, first goal right offset -0.5, 0.5 textcolor rgb stock font ",11" front
plot dir."/single.dat" using ($0 - 0.19):2:xtic(1) with boxes lc rgb ours title "report to response", \
     "" using ($0 + 0.19):3 with boxes lc rgb light title "all the host does", \
     "" using ($0 - 0.19):2:(sprintf("%.2f", $2)) with labels offset 0, 0.6 textcolor rgb ours font ",11" notitle, \
     "" using ($0 + 0.19):3:(sprintf("%.2f", $3)) with labels offset 0, 0.6 textcolor rgb ours font ",11" notitle
unset arrow
unset label

# Bottom right: MAP_DMA by size.
set origin 0.5, 0.0
set size 0.5, 0.48
set lmargin 11
set title "MAP\\_DMA by size (instructions, both axes logarithmic)" font ",14" textcolor rgb ink
set logscale xy
set xrange [40 : 13000]
set yrange [1000 : *]
set format y "10^{%L}"
set xtics ("64 MiB" 64, "512 MiB" 512, "8 GiB" 8192) font ",12"
set key at graph 0.98, 0.55 right center
plot dir."/map-type1.dat" using 1:2 with linespoints lw 2.6 pt 7 ps 0.8 lc rgb stock title "stock type1: pins", \
     dir."/map-iopf.dat" using 1:2 with linespoints lw 2.6 pt 7 ps 0.8 lc rgb ours title "vfio-iopf: records", \
     "" using 1:2:(sprintf("%.0f", $2)) with labels offset 0, 0.9 textcolor rgb ours font ",11" notitle
unset multiplot
