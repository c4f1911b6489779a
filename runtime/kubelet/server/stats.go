package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/gantry-run/gantry/runtime/kubelet/stats"
)

// Stats tell what the node and its pods use.
type Stats interface {
	Summary(ctx context.Context, onlyCPUAndMemory bool) (*statsapi.Summary, error)
}

func (s *Server) serveSummary(w http.ResponseWriter, r *http.Request) {
	only := r.URL.Query().Get("only_cpu_and_memory")
	summary, err := s.cfg.Stats.Summary(r.Context(), only == "true" || only == "1")
	if err != nil {
		http.Error(w, "Internal Error: "+err.Error(), http.StatusInternalServerError)
		return
	}
	body, err := json.MarshalIndent(summary, "", " ")
	if err != nil {
		http.Error(w, "Internal Error: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(body); err != nil {
		s.cfg.Log.Debug("a client went while the stats were sent", "error", err)
	}
}

// serveMetricsOf serves a summary as metrics, which are made for each answer.
func (s *Server) serveMetricsOf(metrics func(*statsapi.Summary) prometheus.Collector, onlyCPUAndMemory bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		summary, err := s.cfg.Stats.Summary(r.Context(), onlyCPUAndMemory)
		if err != nil {
			s.cfg.Log.Error("what pods use is not known", "error", err)
			summary = nil
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(metrics(summary))
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
	}
}

// resourceMetrics and containerMetrics are the paths beside /metrics.
func (s *Server) resourceMetrics() http.HandlerFunc {
	return s.serveMetricsOf(stats.ResourceMetrics, true)
}
func (s *Server) containerMetrics() http.HandlerFunc {
	return s.serveMetricsOf(stats.ContainerMetrics, false)
}
