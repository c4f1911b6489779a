package stats

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// ResourceMetrics are a summary of processors and memory as /metrics/resource has them,
// which metrics-server reads. They exist for one answer: of what is gone nothing stays. A
// summary that could not be made is nil.
//
// https://kubernetes.io/docs/reference/instrumentation/metrics/
func ResourceMetrics(s *statsapi.Summary) prometheus.Collector { return collector{s, collectResources} }

// ContainerMetrics are what /metrics/cadvisor has of them, under cAdvisor's names and
// labels: what dashboards of containers are made of.
func ContainerMetrics(s *statsapi.Summary) prometheus.Collector {
	return collector{s, collectContainers}
}

type collector struct {
	summary *statsapi.Summary
	collect func(*statsapi.Summary, emit)
}

// emit sends one value; a time of zero is now.
type emit func(name, help string, kind prometheus.ValueType, at metav1.Time, value float64, labels prometheus.Labels)

// Describe implements prometheus.Collector: what there is follows from the summary.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	c.collect(c.summary, func(name, help string, kind prometheus.ValueType, at metav1.Time, value float64, labels prometheus.Labels) {
		m, err := prometheus.NewConstMetric(prometheus.NewDesc(name, help, nil, labels), kind, value)
		if err != nil {
			m = prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
		} else if !at.IsZero() {
			m = prometheus.NewMetricWithTimestamp(at.Time, m)
		}
		ch <- m
	})
}

func collectResources(s *statsapi.Summary, out emit) {
	failed := 0.0
	if s == nil {
		failed = 1
	}
	out("scrape_error", "[ALPHA] (Deprecated since 1.29.0) 1 if there was an error while getting container metrics, 0 otherwise", prometheus.GaugeValue, metav1.Time{}, failed, nil)
	out("resource_scrape_error", "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise", prometheus.GaugeValue, metav1.Time{}, failed, nil)
	if s == nil {
		return
	}
	of := func(what, article string, labels prometheus.Labels, cpu *statsapi.CPUStats, memory *statsapi.MemoryStats) {
		if cpu != nil && cpu.UsageCoreNanoSeconds != nil {
			out(what+"_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the "+article+" in core-seconds", prometheus.CounterValue, cpu.Time, seconds(*cpu.UsageCoreNanoSeconds), labels)
		}
		if memory != nil && memory.WorkingSetBytes != nil {
			out(what+"_memory_working_set_bytes", "[STABLE] Current working set of the "+article+" in bytes", prometheus.GaugeValue, memory.Time, float64(*memory.WorkingSetBytes), labels)
		}
	}
	of("node", "node", nil, s.Node.CPU, s.Node.Memory)
	for _, p := range s.Pods {
		of("pod", "pod", prometheus.Labels{"namespace": p.PodRef.Namespace, "pod": p.PodRef.Name}, p.CPU, p.Memory)
		for _, c := range p.Containers {
			labels := prometheus.Labels{"namespace": p.PodRef.Namespace, "pod": p.PodRef.Name, "container": c.Name}
			of("container", "container", labels, c.CPU, c.Memory)
			out("container_start_time_seconds", "[STABLE] Start time of the container since unix epoch in seconds", prometheus.GaugeValue, metav1.Time{}, started(c.StartTime), labels)
		}
	}
}

func collectContainers(s *statsapi.Summary, out emit) {
	if s == nil {
		return
	}
	of := func(labels prometheus.Labels, start metav1.Time, cpu *statsapi.CPUStats, memory *statsapi.MemoryStats) {
		if cpu != nil && cpu.UsageCoreNanoSeconds != nil {
			out("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", prometheus.CounterValue, cpu.Time, seconds(*cpu.UsageCoreNanoSeconds), labels)
		}
		if memory != nil {
			for _, m := range []struct {
				name, help string
				value      *uint64
			}{
				{"container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed", memory.UsageBytes},
				{"container_memory_working_set_bytes", "Current working set in bytes.", memory.WorkingSetBytes},
				{"container_memory_rss", "Size of RSS in bytes.", memory.RSSBytes},
			} {
				if m.value != nil {
					out(m.name, m.help, prometheus.GaugeValue, memory.Time, float64(*m.value), labels)
				}
			}
		}
		out("container_start_time_seconds", "Start time of the container since unix epoch in seconds.", prometheus.GaugeValue, metav1.Time{}, started(start), labels)
	}
	labels := func(namespace, pod, container string) prometheus.Labels {
		return prometheus.Labels{"namespace": namespace, "pod": pod, "container": container}
	}
	of(labels("", "", ""), s.Node.StartTime, s.Node.CPU, s.Node.Memory)
	for _, p := range s.Pods {
		of(labels(p.PodRef.Namespace, p.PodRef.Name, ""), p.StartTime, p.CPU, p.Memory)
		if n := p.Network; n != nil {
			l := prometheus.Labels{"namespace": p.PodRef.Namespace, "pod": p.PodRef.Name, "interface": n.Name}
			out("container_network_receive_bytes_total", "Cumulative count of bytes received", prometheus.CounterValue, n.Time, float64(*n.RxBytes), l)
			out("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", prometheus.CounterValue, n.Time, float64(*n.TxBytes), l)
		}
		for _, c := range p.Containers {
			of(labels(p.PodRef.Namespace, p.PodRef.Name, c.Name), c.StartTime, c.CPU, c.Memory)
			if c.Rootfs != nil && c.Rootfs.UsedBytes != nil {
				out("container_fs_usage_bytes", "Number of bytes that are consumed by the container on this filesystem.", prometheus.GaugeValue, c.Rootfs.Time, float64(*c.Rootfs.UsedBytes), labels(p.PodRef.Namespace, p.PodRef.Name, c.Name))
			}
		}
	}
}

func seconds(ns uint64) float64 { return float64(ns) / float64(time.Second) }

func started(at metav1.Time) float64 { return float64(at.UnixNano()) / float64(time.Second) }
