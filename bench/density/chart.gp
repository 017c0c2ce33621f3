# SPDX-License-Identifier: GPL-2.0-only
#
# The chart of the density experiment. Variables from report.py: dir (directory of the data and the chart),
# pinned (guests that pinning can hold), good (guests at 90 % and more), ratio (of the two), slope,
# inflection, plateau (of the backend's curve), last (most guests), size (of a guest, MiB), hot (percent
# of it), host (MiB).

set terminal svg size 1320,560 dynamic enhanced rounded font "DejaVu Sans,Arial,sans-serif,13" background "#ffffff"
set output dir."/density.svg"

stock = "#c8553d"
ours = "#1f6f8b"
light = "#9cc3d0"
amber = "#e0a13a"
ink = "#2b2b2b"
pale = "#8a8a8a"

set border 3 lc rgb pale lw 0.8
set tics nomirror textcolor rgb ink scale 0.4
set key textcolor rgb ink samplen 2
set multiplot title sprintf("Guests of %d MiB with working sets of %d %% on a host with %d MiB for them, and swap", \
	size, hot, host) font ",17" textcolor rgb ink
set xrange [0 : last * 1.03]
set grid ytics lc rgb "#e6e6e6" lw 0.6 lt 1
set xlabel "guests" textcolor rgb ink

# Left: all guests together.
set origin 0.0, 0.0
set size 0.5, 0.93
set title "Throughput of all guests (jobs a second)" font ",14" textcolor rgb ink
set yrange [0 : plateau * 1.25]
set key at graph 0.99, 0.20 right Left reverse
set arrow 1 from pinned, graph 0 to pinned, graph 1 nohead lc rgb stock lw 1 dt 2
set label 1 "pinning: no more" at pinned, graph 0.97 left offset 0.6, 0 textcolor rgb stock font ",11"
set arrow 2 from inflection, graph 0 to inflection, graph 1 nohead lc rgb pale lw 1 dt 2
set label 2 sprintf("inflection, %.0f", inflection) at inflection, graph 0.97 right offset -0.6, 0 \
	textcolor rgb pale font ",11"
plot [0 : last * 1.03] slope * x with lines lc rgb pale lw 1 dt 3 title sprintf("%.0f jobs/s a guest", slope), \
     dir."/iopf.dat" using 1:2 with linespoints lw 2.6 pt 7 ps 0.7 lc rgb ours title "vfio-iopf", \
     dir."/type1.dat" using 1:2 with linespoints lw 2.6 pt 7 ps 0.7 lc rgb stock title "stock type1"
unset arrow
unset label

# Right top: a single guest.
set lmargin 8
set origin 0.5, 0.42
set size 0.5, 0.51
set title "Throughput of a guest (percent of a pinned one)" font ",14" textcolor rgb ink
set yrange [0 : 110]
set key at graph 0.02, 0.66 left Left reverse
unset xlabel
set arrow 1 from 0, 90 to last * 1.03, 90 nohead lc rgb ink lw 1 dt 2
set arrow 2 from good, 0 to good, 90 nohead lc rgb ours lw 1 dt 2
set label 2 sprintf("%d guests, %g times pinning's %d", good, ratio, pinned) at good, 8 right offset -0.6, 0 \
	textcolor rgb ours font ",11"
plot dir."/iopf.dat" using 1:4 with linespoints lw 1.4 pt 7 ps 0.5 lc rgb light title "the slowest", \
     "" using 1:3 with linespoints lw 2.6 pt 7 ps 0.7 lc rgb ours title "vfio-iopf", \
     dir."/type1.dat" using 1:3 with linespoints lw 2.6 pt 7 ps 0.7 lc rgb stock title "stock type1"
unset arrow
unset label

# Right bottom: how long a job takes.
set origin 0.5, 0.0
set size 0.5, 0.42
set title "Latency of jobs (microseconds, logarithmic)" font ",14" textcolor rgb ink
set logscale y
set yrange [10 : *]
set format y "10^{%L}"
set xlabel "guests" textcolor rgb ink
set key at graph 0.02, 0.97 left Left reverse
plot dir."/iopf.dat" using 1:7 with linespoints lw 1.6 pt 7 ps 0.5 lc rgb amber title "p99", \
     "" using 1:6 with linespoints lw 2 pt 7 ps 0.6 lc rgb ours title "mean", \
     "" using 1:5 with linespoints lw 1.4 pt 7 ps 0.5 lc rgb light title "p50"
unset multiplot
