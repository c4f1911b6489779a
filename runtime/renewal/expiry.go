package renewal

import (
	"sync"
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"
)

// ExpiryMetric is the end of each certificate of a server, in seconds since 1970, with
// its name as the label certificate.
const ExpiryMetric = "gantry_certificate_expiration_timestamp_seconds"

// Expiry is when the certificates of a server end, as metrics: one of ours for each of
// them, and upstream's two of the kubelet.
type Expiry struct {
	metrics.BaseStableCollector
	kubelet string
	clock   clock.PassiveClock

	mu       sync.Mutex
	ends     map[string]time.Time
	failures map[string]int

	end, failure, client, server, errors *metrics.Desc
}

// NewExpiry returns the metrics; kubelet is the name of the kubelet's certificate.
func NewExpiry(kubelet string, c clock.PassiveClock) *Expiry {
	desc := func(name, help string, labels ...string) *metrics.Desc {
		return metrics.NewDesc(name, help, labels, nil, metrics.ALPHA, "")
	}
	return &Expiry{
		kubelet: kubelet, clock: c, ends: map[string]time.Time{}, failures: map[string]int{},
		end:     desc(ExpiryMetric, "When a certificate of this server ends, in seconds since 1970.", "certificate"),
		failure: desc("gantry_certificate_renewal_errors_total", "Failed renewals of a certificate of this server.", "certificate"),
		client:  desc("kubelet_certificate_manager_client_ttl_seconds", "Seconds until the kubelet's client certificate ends; negative when it has."),
		server:  desc("kubelet_certificate_manager_server_ttl_seconds", "Seconds until the kubelet's serving certificate ends; negative when it has."),
		errors:  desc("kubelet_certificate_manager_client_expiration_renew_errors", "Failed renewals of the kubelet's client certificate."),
	}
}

func (e *Expiry) set(name string, end time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ends[name] = end
}

// watch tells of a certificate's failures from before the first, for which a rate needs
// them, and of one that could never be read.
func (e *Expiry) watch(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures[name] += 0
}

func (e *Expiry) failed(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures[name]++
}

// DescribeWithStability is that of metrics.StableCollector.
func (e *Expiry) DescribeWithStability(ch chan<- *metrics.Desc) {
	for _, d := range []*metrics.Desc{e.end, e.failure, e.client, e.server, e.errors} {
		ch <- d
	}
}

// CollectWithStability is that of metrics.StableCollector.
func (e *Expiry) CollectWithStability(ch chan<- metrics.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, end := range e.ends {
		ch <- metrics.NewLazyConstMetric(e.end, metrics.GaugeValue, float64(end.Unix()), name)
	}
	for name, n := range e.failures {
		ch <- metrics.NewLazyConstMetric(e.failure, metrics.CounterValue, float64(n), name)
	}
	if end, ok := e.ends[e.kubelet]; ok {
		left := end.Sub(e.clock.Now()).Seconds()
		ch <- metrics.NewLazyConstMetric(e.client, metrics.GaugeValue, left)
		ch <- metrics.NewLazyConstMetric(e.server, metrics.GaugeValue, left)
		ch <- metrics.NewLazyConstMetric(e.errors, metrics.CounterValue, float64(e.failures[e.kubelet]))
	}
}
