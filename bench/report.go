package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/e2e"
)

// preface begins the report.
const preface = "`make bench`" + ` measures this on the machine it runs on and writes it here. Upstream is
Kubernetes 1.36.3 (etcd 3.7.3, containerd 1.6), built and run on the same kind of machine: one
node, TLS, RBAC. Its idle processes hold, in MiB of PSS: etcd 41, API server 271,
controller-manager 113, scheduler 72, together 497; kubelet 86, kube-proxy 63, containerd 40,
together 189 (no CNI plugin, no DNS). An idle minute of master and node costs it 2.6 s of CPU. Its
API server is ready after 2.3 s, its binaries are 503 MB. CPU per object holds on a busy machine;
rates do not.
`

// report collects figures and prints them as Markdown.
type report struct {
	head         []string
	sizesRows    []string
	order        []string
	times        map[string][]time.Duration
	podsOneByOne []time.Duration
	podsAtOnce   []time.Duration
	memoryRows   []string
	loadRows     []string
	priceRows    []string
	hostileRows  []string
	sentRows     []string
	modelRows    []string
	volumeRows   []string
	writeRows    []string
}

// upstream's figures on the same kind of machine, where there is something to
// compare with (Kubernetes 1.36.3, etcd 3.7.3, containerd 1.6; one node).
const (
	upstreamOneByOneP50 = 478 * time.Millisecond
	upstreamOneByOneP99 = 548 * time.Millisecond
	upstreamAtOnceP50   = 2980 * time.Millisecond
	upstreamAtOnceP99   = 3160 * time.Millisecond
)

func (r *report) machine() {
	var u syscall.Utsname
	kernel := "unknown"
	if syscall.Uname(&u) == nil {
		var b []byte
		for _, c := range u.Release {
			if c == 0 {
				break
			}
			b = append(b, byte(c))
		}
		kernel = string(b)
	}
	r.head = append(r.head, fmt.Sprintf("%s, %d cores, kernel %s, %s; servers are systemd-nspawn hosts on the one machine.",
		time.Now().Format("2006-01-02"), runtime.NumCPU(), kernel, cpuModel()))
}

func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return "unknown CPU"
}

func (r *report) sizes(tools e2e.Tools) error {
	files := []string{tools.Bundle}
	inside, err := filepath.Glob(filepath.Join(filepath.Dir(tools.Bundle), "bundle", "[a-z]*"))
	if err != nil {
		return err
	}
	files = append(files, inside...)
	files = append(files, filepath.Join(filepath.Dir(tools.Hello), "terraform-provider-gantry"))
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return err
		}
		r.sizesRows = append(r.sizesRows, fmt.Sprintf("| %s | %.1f MB |", filepath.Base(f), float64(info.Size())/1e6))
	}
	return nil
}

func (r *report) time(what string, d time.Duration) {
	if r.times == nil {
		r.times = map[string][]time.Duration{}
	}
	if _, seen := r.times[what]; !seen {
		r.order = append(r.order, what)
	}
	r.times[what] = append(r.times[what], d)
	fmt.Fprintf(os.Stderr, "  %-70s %6.2f s\n", what, d.Seconds())
}

func percentile(d []time.Duration, p int) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[min(len(s)-1, len(s)*p/100)]
}

func (r *report) write(w io.Writer) error {
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	p("%s\n%s\n", preface, strings.Join(r.head, " "))
	p("| provisioning | median | runs |\n|---|---|---|")
	for _, what := range r.order {
		var runs []string
		for _, d := range r.times[what] {
			runs = append(runs, fmt.Sprintf("%.1f", d.Seconds()))
		}
		p("| %s | %.1f s | %s |", what, percentile(r.times[what], 50).Seconds(), strings.Join(runs, ", "))
	}
	table := func(head string, rows []string) {
		if len(rows) > 0 {
			columns := strings.Count(head, "|") - 1
			p("\n%s\n|%s\n%s", head, strings.Repeat("---|", columns), strings.Join(rows, "\n"))
		}
	}
	table("| sent to each host | master | worker |", r.sentRows)
	table("| most memory of the provider, with the model hosts in the same process | RSS |", r.modelRows)
	if len(r.podsOneByOne) > 0 {
		p("\n| pod create → Ready, image present | p50 | p99 | upstream p50 / p99 | ratio of p50 |\n|---|---|---|---|---|")
		for _, row := range []struct {
			what     string
			d        []time.Duration
			p50, p99 time.Duration
		}{{"one after another", r.podsOneByOne, upstreamOneByOneP50, upstreamOneByOneP99}, {"30 at once", r.podsAtOnce, upstreamAtOnceP50, upstreamAtOnceP99}} {
			p50, p99 := percentile(row.d, 50), percentile(row.d, 99)
			p("| %s (%d pods) | %d ms | %d ms | %d / %d ms | %.2f |", row.what, len(row.d), p50.Milliseconds(), p99.Milliseconds(),
				row.p50.Milliseconds(), row.p99.Milliseconds(), p50.Seconds()/row.p50.Seconds())
		}
	}
	table("| volumes of the class `local` | claim → bound, p50, p99 | bound → pod Ready, p50, p99 |", r.volumeRows)
	table("| a synced write of 4 KiB, median | in such a volume | in a directory of its disk | ratio |", r.writeRows)
	table("| load on a master | | upstream | CPU per object, ms |", r.loadRows)
	table("| price of a layer: Secrets created by one tenant, 20 clients | | CPU of the API server per object, ms |", r.priceRows)
	table("| hostile load: 400 stalled POSTs, 1,000 slow readers and a list storm of one pod | quiet | under it |", r.hostileRows)
	table("| idle process | PSS | anonymous | CPU in a minute |", r.memoryRows)
	table("| size | |", r.sizesRows)
	return nil
}
