package served

import (
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

func TestFind(t *testing.T) {
	lists := []*metav1.APIResourceList{
		{GroupVersion: "a/b/c", APIResources: []metav1.APIResource{{Name: "pods", Verbs: metav1.Verbs{"list", "patch"}}}},
		{GroupVersion: "v1", APIResources: []metav1.APIResource{{Name: "pods", Verbs: metav1.Verbs{"list", "patch"}}, {Name: "reports", Verbs: metav1.Verbs{"list"}}}},
		{GroupVersion: "apps/v2", APIResources: []metav1.APIResource{{Name: "sets", Verbs: metav1.Verbs{"list", "patch"}}}},
	}
	silent := func(group string) error {
		return &discovery.ErrGroupDiscoveryFailed{Groups: map[schema.GroupVersion]error{{Group: group, Version: "v1"}: errors.New("asleep")}}
	}
	for name, tt := range map[string]struct {
		group, resource string
		err             error
		want, failure   string
	}{
		"of the core group":            {"", "pods", nil, "/v1, Resource=pods", ""},
		"of another one":               {"apps", "sets", nil, "apps/v2, Resource=sets", ""},
		"of the wrong group":           {"apps", "pods", nil, "", ""},
		"without a verb":               {"", "reports", nil, "", ""},
		"found beside what is silent":  {"apps", "sets", silent("other"), "apps/v2, Resource=sets", ""},
		"not found, another is silent": {"apps", "bags", silent("other"), "", ""},
		"perhaps of what is silent":    {"other", "bags", silent("other"), "", "discover bags.other: asleep"},
		"nothing answers":              {"apps", "bags", errors.New("no"), "", "discover bags.apps: no"},
	} {
		got, err := Find(lists, tt.err, schema.GroupResource{Group: tt.group, Resource: tt.resource}, "list", "patch")
		if text := strings.TrimSpace(got.String()); !got.Empty() && text != tt.want || got.Empty() != (tt.want == "") {
			t.Errorf("%s: %s", name, text)
		}
		if (err == nil) != (tt.failure == "") || err != nil && err.Error() != tt.failure {
			t.Errorf("%s: %v", name, err)
		}
	}
}
