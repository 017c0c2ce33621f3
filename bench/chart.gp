# SPDX-License-Identifier: GPL-2.0-only
#
# The benchmark's chart. Variables from report.py: dir (directory of the data and the chart), goals and
# missed (numbers of goals), least (begin of their axis), minor and zero (instructions of a CPU's fault),
# kinds (of faults), touched (kinds of passes).

set terminal svg size 1500,1240 dynamic enhanced rounded font "DejaVu Sans,Arial,sans-serif,13" background "#ffffff"
set output dir."/bench.svg"

stock = "#c8553d"
ours = "#1f6f8b"
light = "#9cc3d0"
amber = "#e0a13a"
ink = "#2b2b2b"
pale = "#8a8a8a"

set border 3 lc rgb pale lw 0.8
set tics nomirror textcolor rgb ink scale 0.4
set style fill solid 1.0 noborder
set key textcolor rgb ink samplen 2
set multiplot

# Top left: each goal, the measured value as a share of the allowed one.
set origin 0.0, 0.44
set size 0.52, 0.56
set lmargin 48
set rmargin 3
set title "Goals: measured, as a multiple of what is allowed" font ",15" textcolor rgb ink
set logscale x
set xrange [least : 1000]
set yrange [0.3 : goals + 0.7]
set format x "%g"
set grid xtics lc rgb "#ececec" lw 0.6 lt 1
unset key
set border 1
set ytics scale 0 font ",11.5"
set arrow 1 from 1, graph 0 to 1, graph 1 nohead lc rgb ink lw 1.4 dt 2 front
set label 1 "limit" at 1, graph 1 center offset 0, 0.5 textcolor rgb ink font ",11"
plot dir."/goals-reached.dat" using (least):1:(least):2:($1 - 0.33):($1 + 0.33):ytic(3) with boxxyerror lc rgb ours, \
     "" using ($2 < 1 ? 1 : $2):1:4 with labels left offset 0.8, 0 textcolor rgb ours font ",11", \
     missed ? dir."/goals-missed.dat" : "/dev/null" \
	using (least):1:(least):2:($1 - 0.33):($1 + 0.33):ytic(3) with boxxyerror lc rgb stock, \
     missed ? dir."/goals-missed.dat" : "/dev/null" \
	using 2:1:4 with labels left offset 0.6, 0 textcolor rgb stock font ",11"
unset arrow
unset label
unset logscale
unset grid
set border 3
set ytics autofreq scale 0.4 font ",12"
set grid ytics lc rgb "#e6e6e6" lw 0.6 lt 1

# Top right: the latency of faults, by kind.
set origin 0.52, 0.44
set size 0.48, 0.56
set lmargin 9
set rmargin 2
set bmargin 4
set title "Latency of faults in a mixed load (instructions, logarithmic)" font ",15" textcolor rgb ink
set logscale y
set yrange [1000 : 5000000]
set format y "10^{%L}"
set xrange [-0.6 : kinds - 0.4]
set format x "%s"
set xtics font ",11"
set key at graph 0.99, 0.99 right top horizontal
set boxwidth 0.2
plot dir."/latency.dat" using ($0 - 0.22):2:xtic(1) with boxes lc rgb ours title "p50", \
     "" using 0:3 with boxes lc rgb light title "p99", \
     "" using ($0 + 0.22):4 with boxes lc rgb amber title "p99.9", \
     "" using ($0 - 0.22):2:(sprintf("%.0f", $2)) with labels offset 0, 0.6 textcolor rgb ours font ",10" notitle, \
     "" using ($0 + 0.22):4:(sprintf("%.0f", $4)) with labels offset 0, 0.6 textcolor rgb ink font ",10" notitle

# Bottom left: the cost of a page until the device can access it.
set origin 0.0, 0.0
set size 0.64, 0.43
set lmargin 9
set rmargin 12
set bmargin 5
set title "First touch of a page by the device: MAP\\_DMA and the cold pass, per page (instructions, logarithmic)" \
	font ",15" textcolor rgb ink
set yrange [1 : 100000]
set xrange [-0.6 : touched - 0.4]
set boxwidth 0.36
set key at graph 0.01, 0.98 left top vertical
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

# Bottom right: MAP_DMA by size.
set origin 0.64, 0.0
set size 0.36, 0.43
set lmargin 9
set rmargin 3
set title "MAP\\_DMA by size (instructions, logarithmic)" font ",15" textcolor rgb ink
set logscale xy
set xrange [40 : 130000]
set yrange [1000 : *]
set xtics ("64 MiB" 64, "512 MiB" 512, "8 GiB" 8192, "64 GiB" 65536) font ",11"
set key at graph 0.98, 0.55 right center
plot dir."/map-type1.dat" using 1:2 with linespoints lw 2.6 pt 7 ps 0.8 lc rgb stock title "stock type1: pins", \
     dir."/map-iopf.dat" using 1:2 with linespoints lw 2.6 pt 7 ps 0.8 lc rgb ours title "vfio-iopf: records", \
     "" using 1:2:(sprintf("%.0f", $2)) with labels offset 0, 0.9 textcolor rgb ours font ",11" notitle
unset multiplot
