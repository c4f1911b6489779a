package proxy

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the proxy's own; cmd/gantry serves them.
type metrics struct {
	duration  prometheus.Histogram
	frontends prometheus.Gauge
	failures  prometheus.Counter
}

func newMetrics() *metrics {
	return &metrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gantry_proxy_sync_duration_seconds", Help: "Time from a change of a Service to the rules in the kernel.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}),
		frontends: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gantry_proxy_frontends", Help: "Service addresses in the kernel's table."}),
		failures:  prometheus.NewCounter(prometheus.CounterOpts{Name: "gantry_proxy_sync_failures_total", Help: "Transactions that the kernel refused."}),
	}
}

// Collectors are the proxy's metrics, for whoever serves them.
func (p *Proxy) Collectors() []prometheus.Collector {
	return []prometheus.Collector{p.metrics.duration, p.metrics.frontends, p.metrics.failures}
}
