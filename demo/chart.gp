# SPDX-License-Identifier: GPL-2.0-only
#
# The demo's chart. Variables from report.py: dir (where the data are and the chart goes),
# buffer (MiB), devices, phases (how many).

set terminal svg size 1180,560 dynamic enhanced rounded font "DejaVu Sans,Arial,sans-serif,13" background "#ffffff"
set output dir."/demo.svg"

stock = "#c8553d"
ours = "#1f6f8b"
ink = "#2b2b2b"
pale = "#8a8a8a"

set border 3 lc rgb pale lw 0.8
set tics nomirror textcolor rgb ink scale 0.4
set style fill solid 1.0 noborder
set multiplot title sprintf("The same work on the same %d devices, a buffer of %d MiB", devices, buffer) \
	font ",17" textcolor rgb ink

# Left: how long until the devices can work. Logarithmic: the two are orders of magnitude apart.
set origin 0.0, 0.0
set size 0.34, 0.93
set lmargin 9
set bmargin 3
set title "Time until work can start (ms, logarithmic)" font ",13" textcolor rgb ink
set logscale y
stats dir."/start.dat" using 2 nooutput name "S"
stats dir."/start.dat" using 3 nooutput name "O"
set yrange [10 ** floor(log10(O_min < S_min ? O_min : S_min) - 0.3) : S_max * 6]
set format y "%g"
set xrange [-0.6:1.6]
set boxwidth 0.34
unset key
set grid ytics lc rgb "#e6e6e6" lw 0.6 lt 1
plot dir."/start.dat" using ($0 - 0.19):2:xtic(1) with boxes lc rgb stock notitle, \
     "" using ($0 + 0.19):3 with boxes lc rgb ours notitle, \
     "" using ($0 - 0.19):2:4 with labels offset 0, 0.7 textcolor rgb stock font ",12" notitle, \
     "" using ($0 + 0.19):3:5 with labels offset 0, 0.7 textcolor rgb ours font ",12" notitle

# Right: what the buffer keeps from the rest of the machine.
set origin 0.34, 0.0
set size 0.66, 0.93
set lmargin 7
set title "Memory held by the buffer (MiB); every phase drawn equally wide" font ",13" textcolor rgb ink
unset logscale y
unset grid
set grid ytics lc rgb "#e6e6e6" lw 0.6 lt 1
set yrange [0 : buffer * 1.2]
set xrange [0 : phases]
unset xtics
set ytics autofreq
set for [i = 1 : phases - 1] arrow 100 + i from i, graph 0 to i, graph 1 nohead lc rgb "#d8d8d8" lw 0.7 dt 3 back
set key at graph 0.99, 0.99 right top horizontal samplen 2 width 1 textcolor rgb ink
set style fill transparent solid 0.16 noborder
plot dir."/held-type1.dat" using 1:2 with lines lw 2.6 lc rgb stock title "stock type1: pinned", \
     dir."/held-iopf.dat" using 1:2 with filledcurves x1 lc rgb ours notitle, \
     dir."/held-iopf.dat" using 1:2 with lines lw 2.6 lc rgb ours title "vfio-iopf: paged", \
     dir."/phases.dat" using ($1 + 0.5):(0):2 with labels offset 0, -1.1 noenhanced textcolor rgb ink font ",11" notitle
unset multiplot
