package nodeauth

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/gantry-run/gantry/runtime/config"
)

// A list or watch of pods has to be restricted to those of the node.
func TestAuthorizePodLists(t *testing.T) {
	where := func(field string, op selection.Operator, value string) fields.Requirement {
		return fields.Requirement{Field: field, Operator: op, Value: value}
	}
	tests := []struct {
		name     string
		selector fields.Requirements
		err      error
		want     bool
	}{
		{"its own", fields.Requirements{where("spec.nodeName", selection.Equals, "a")}, nil, true},
		{"with two signs", fields.Requirements{where("spec.nodeName", selection.DoubleEquals, "a")}, nil, true},
		{"and more", fields.Requirements{where("status.phase", selection.Equals, "Running"), where("spec.nodeName", selection.Equals, "a")}, nil, true},
		{"all", nil, nil, false},
		{"another's", fields.Requirements{where("spec.nodeName", selection.Equals, "b")}, nil, false},
		{"all but its own", fields.Requirements{where("spec.nodeName", selection.NotEquals, "a")}, nil, false},
		{"of another field", fields.Requirements{where("metadata.name", selection.Equals, "a")}, nil, false},
		{"of a selector that cannot be read", fields.Requirements{where("spec.nodeName", selection.Equals, "a")}, errors.New("cannot be read"), false},
	}
	for _, tt := range tests {
		for _, verb := range []string{"list", "watch"} {
			t.Run(verb+" "+tt.name, func(t *testing.T) {
				for _, of := range []string{" core/pods - -", " certificates.k8s.io/podcertificaterequests - -"} {
					r := request(t, verb+of)
					r.User, r.FieldSelectorRequirements, r.FieldSelectorParsingErr = nodeUser("a"), tt.selector, tt.err
					got, _, err := New(&model{}).Authorize(t.Context(), r)
					if (got == authorizer.DecisionAllow) != tt.want || err != nil {
						t.Errorf("%s: %v, %v", of, got, err)
					}
				}
			})
		}
	}
	r := request(t, "deletecollection core/pods - -")
	r.User, r.FieldSelectorRequirements = nodeUser("a"), tests[0].selector
	if got, _, _ := New(&model{}).Authorize(t.Context(), r); got != authorizer.DecisionNoOpinion {
		t.Errorf("deletecollection: %v", got)
	}
}

// The cache is asked first, and a fresh read before anything is refused: it may lag
// behind a binding, and behind a deletion.
func TestAuthorizeBeyondTheCache(t *testing.T) {
	onA, onB, pending := podOn("a", "team", "p", usingAll("a")), podOn("b", "team", "p", usingAll("a")), podOn("", "team", "p", usingAll("a"))
	tests := []struct {
		name, request string
		model         model
		want          bool
		calls         []string
	}{
		{"a pod of the cache", "get core/pods team p", model{cached: []corev1.Pod{onA}}, true, []string{"pod team/p, fresh false"}},
		{"just bound", "get core/pods team p", model{cached: []corev1.Pod{pending}, fresh: []corev1.Pod{onA}}, true, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"just made", "get core/pods team p", model{fresh: []corev1.Pod{onA}}, true, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"just made on another", "get core/pods team p", model{fresh: []corev1.Pod{onB}}, false, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"of another node", "get core/pods team p", model{cached: []corev1.Pod{onB}}, false, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"gone", "delete core/pods team p", model{}, true, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"gone, its status", "patch core/pods/status team p", model{}, true, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"not asked for a verb it has not", "update core/pods team p", model{cached: []corev1.Pod{onA}}, false, nil},

		{"a secret of the cache", "get core/secrets team secret-a", model{cached: []corev1.Pod{onA}}, true, []string{"pods of a, fresh false"}},
		{"of a claim that is gone", "get core/secrets team s", model{cached: []corev1.Pod{onA}}, false,
			[]string{"pods of a, fresh false", "claim team/claim-a", "pods of a, fresh true", "claim team/claim-a"}},
		{"of a pod just bound", "get core/secrets team secret-a", model{fresh: []corev1.Pod{onA}}, true, []string{"pods of a, fresh false", "pods of a, fresh true"}},
		{"of a pod on another", "get core/secrets team secret-a", model{cached: []corev1.Pod{onB}}, false, []string{"pods of a, fresh false", "pods of a, fresh true"}},
		{"none is read for a write", "update core/secrets team secret-a", model{cached: []corev1.Pod{onA}}, false, nil},
		{"none is read for a list of all", "list core/secrets team -", model{cached: []corev1.Pod{onA}}, false, nil},

		{"a volume", "get core/persistentvolumes - v", model{cached: []corev1.Pod{onA}, volumes: []corev1.PersistentVolume{volume("v", "team", "claim-a")}}, true,
			[]string{"volume v", "pods of a, fresh false"}},
		{"of another's claim", "get core/persistentvolumes - v", model{cached: []corev1.Pod{onA}, volumes: []corev1.PersistentVolume{volume("v", "team", "claim-b")}}, false,
			[]string{"volume v", "pods of a, fresh false", "pods of a, fresh true"}},
		{"of another namespace's claim", "get core/persistentvolumes - v", model{cached: []corev1.Pod{onA}, volumes: []corev1.PersistentVolume{volume("v", "other", "claim-a")}}, false,
			[]string{"volume v", "pods of a, fresh false", "pods of a, fresh true"}},
		{"that is not bound", "get core/persistentvolumes - v", model{cached: []corev1.Pod{onA}, volumes: []corev1.PersistentVolume{volume("v", "", "")}}, false, []string{"volume v"}},
		{"that is gone", "get core/persistentvolumes - v", model{cached: []corev1.Pod{onA}}, false, []string{"volume v"}},
		{"a secret of a volume", "get core/secrets team s", model{cached: []corev1.Pod{onA}, claims: []corev1.PersistentVolumeClaim{claim("team", "claim-a", "v")},
			volumes: []corev1.PersistentVolume{withSecret(volume("v", "team", "claim-a"), "s")}}, true, []string{"pods of a, fresh false", "claim team/claim-a", "volume v"}},
		{"no list of volumes", "list core/persistentvolumes - v", model{cached: []corev1.Pod{onA}}, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, tt.request)
			r.User = nodeUser("a")
			got, _, err := New(&tt.model).Authorize(t.Context(), r)
			if (got == authorizer.DecisionAllow) != tt.want || err != nil {
				t.Errorf("%v, %v", got, err)
			}
			if strings.Join(tt.model.calls, "; ") != strings.Join(tt.calls, "; ") {
				t.Errorf("read %q", tt.model.calls)
			}
		})
	}
}

// A claim that is gone does not hide the others of the pod, nor a pod the others.
func TestAuthorizeVolumeOfALaterClaim(t *testing.T) {
	two := corev1.PodSpec{Volumes: []corev1.Volume{
		{Name: "x", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "gone"}}},
		{Name: "y", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
	}}
	m := &model{
		cached:  []corev1.Pod{podOn("a", "team", "none", corev1.PodSpec{}), podOn("a", "team", "p", two)},
		volumes: []corev1.PersistentVolume{volume("v", "team", "p-y")},
	}
	r := request(t, "get core/persistentvolumes - v")
	r.User = nodeUser("a")
	if got, _, err := New(m).Authorize(t.Context(), r); got != authorizer.DecisionAllow || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// Without its objects there is no decision, and the reader learns why.
func TestAuthorizeWithoutAnswers(t *testing.T) {
	away := errors.New("no answer")
	m := func() *model {
		return &model{
			cached: []corev1.Pod{podOn("a", "team", "p", usingAll("x"))},
			claims: []corev1.PersistentVolumeClaim{claim("team", "claim-x", "volume-x")},
		}
	}
	tests := []struct{ name, request, failing string }{
		{"the pod", "get core/pods team other", "pod team/other, fresh false"},
		{"the pod, read freshly", "get core/pods team other", "pod team/other, fresh true"},
		{"the pods", "get core/secrets team s", "pods of a, fresh false"},
		{"the pods, read freshly", "get core/secrets team s", "pods of a, fresh true"},
		{"a claim", "get core/secrets team s", "claim team/claim-x"},
		{"a claim's volume", "get core/secrets team s", "volume volume-x"},
		{"a volume", "get core/persistentvolumes - v", "volume v"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cluster := m()
			cluster.failing = func(call string) error {
				if call == tt.failing {
					return away
				}
				return nil
			}
			r := request(t, tt.request)
			r.User = nodeUser("a")
			got, why, err := New(cluster).Authorize(t.Context(), r)
			if got != authorizer.DecisionNoOpinion || !errors.Is(err, away) || !strings.Contains(why, "cannot be read") {
				t.Errorf("%v, %q, %v", got, why, err)
			}
		})
	}
}

// TestVolumesOfTheNode: a node lists and watches the cluster's own volumes that lie on it,
// and no others.
func TestVolumesOfTheNode(t *testing.T) {
	for selector, want := range map[string]bool{
		config.LocalVolumeNode + "=a":         true,
		config.LocalVolumeNode + "==a":        true,
		config.LocalVolumeNode + " in (a)":    true,
		config.LocalVolumeNode + "=a,x=y":     true,
		config.LocalVolumeNode + "=b":         false,
		config.LocalVolumeNode + " in (a, b)": false,
		config.LocalVolumeNode + "!=b":        false,
		config.LocalVolumeNode + " notin (a)": false,
		config.LocalVolumeNode:                false,
		"x=a":                                 false,
		"":                                    false,
	} {
		parsed, err := labels.Parse(selector)
		if err != nil {
			t.Fatal(err)
		}
		requirements, _ := parsed.Requirements()
		for _, verb := range []string{"list", "watch"} {
			r := request(t, verb+" core/persistentvolumes - -")
			r.User, r.LabelSelectorRequirements = nodeUser("a"), requirements
			got, _, err := New(&model{}).Authorize(t.Context(), r)
			if err != nil || (got == authorizer.DecisionAllow) != want {
				t.Errorf("%s %q: %v, %v", verb, selector, got, err)
			}
		}
	}
}
