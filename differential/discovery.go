package main

import (
	"context"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gantry-run/gantry/differential/compare"
)

// discovery compares what the servers say that they serve, resource by resource. A kind that
// ours does not serve is one difference here; the requests to it are differences too.
func (r *runner) discovery(ctx context.Context) {
	gvs := map[schema.GroupVersion]bool{}
	for _, t := range r.targets {
		gvs[t.gvk.GroupVersion()] = true
	}
	for gv := range gvs {
		q := request{method: http.MethodGet, path: groupPath(gv)}
		var resources [2]map[string]any
		for side, s := range r.servers {
			resources[side] = map[string]any{}
			a, err := s.do(ctx, q)
			if err != nil {
				continue // it is told by the requests that follow
			}
			for _, res := range list(field(a.Body, "resources")) {
				resources[side][str(field(res, "name"))] = res
			}
		}
		for name, res := range resources[0] {
			answers := [2]compare.Answer{{Code: http.StatusOK, Body: res}, {Code: http.StatusOK, Body: resources[1][name]}}
			if resources[1][name] == nil {
				answers[1].Code = http.StatusNotFound
			}
			r.sent.Add(1)
			r.tally.note("(discovery)", "discovery", compare.Answers(answers[0], answers[1]), exchange{How: gv.String() + " " + name, Request: [2]request{q, q}, Upstream: answers[0], Ours: answers[1]})
		}
	}
}
