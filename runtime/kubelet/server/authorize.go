package server

import (
	"net/http"
	"strings"

	"github.com/gantry-run/gantry/runtime/access"
)

// rule maps a request to what it needs, as upstream's kubelet does: verbs on
// subresources of the node. A path that has none of its own needs nodes/proxy, and so do
// those that had none before 1.33, beside their own.
func rule(node string) access.Rule {
	return func(r *http.Request) []access.Attributes {
		var needs []access.Attributes
		verb := verb(r)
		for _, subresource := range subresources(r.URL.Path) {
			needs = append(needs, access.Attributes{Verb: verb, Node: node, Subresource: subresource, Path: r.URL.Path})
		}
		return needs
	}
}

func subresources(path string) []string {
	switch {
	case below(path, "/metrics"):
		return []string{"metrics"}
	case below(path, "/stats"):
		return []string{"stats"}
	case below(path, "/logs"):
		return []string{"log"}
	case below(path, "/checkpoint"):
		return []string{"checkpoint"}
	case below(path, "/statusz"):
		return []string{"statusz"}
	case below(path, "/flagz"):
		return []string{"configz"}
	case below(path, "/pods"), below(path, "/runningpods"):
		return []string{"pods", "proxy"}
	// Upstream has one path of health; ours has all three that other processes have.
	case below(path, "/healthz"), below(path, "/livez"), below(path, "/readyz"):
		return []string{"healthz", "proxy"}
	case below(path, "/configz"):
		return []string{"configz", "proxy"}
	}
	return []string{"proxy"}
}

// verb is the API's verb for the method; sessions are made whatever the method: whoever
// may only look must not run commands by a GET that is upgraded.
func verb(r *http.Request) string {
	for _, session := range []string{"/exec", "/attach", "/portForward", "/run"} {
		if below(r.URL.Path, session) {
			return "create"
		}
	}
	return access.Verb(r.Method)
}

// below says whether a path is root or below it.
func below(path, root string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == '/')
}
