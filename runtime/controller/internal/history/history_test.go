package history

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func template(image string) *corev1.PodTemplateSpec {
	return &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "a"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}},
	}
}

func revision(t *testing.T, name, image string, number int64) *appsv1.ControllerRevision {
	t.Helper()
	data, err := patch(template(image))
	if err != nil {
		t.Fatal(err)
	}
	return &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: runtime.RawExtension{Raw: data}, Revision: number}
}

func names(list []*appsv1.ControllerRevision) string {
	var out []string
	for _, r := range list {
		out = append(out, r.Name)
	}
	return strings.Join(out, " ")
}

func TestArrange(t *testing.T) {
	one, two, three := revision(t, "one", "v1", 1), revision(t, "two", "v2", 2), revision(t, "three", "v3", 3)
	// The same template, as another version of the programs might have written it.
	other := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Revision: 4,
		Data: runtime.RawExtension{Raw: []byte(`{"spec":{"template":{"metadata":{"creationTimestamp":null,"labels":{"app":"a"}},"$patch":"replace","spec":{"containers":[{"image":"v4","name":"c","resources":{}}]}}}}`)}}
	broken := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: "broken"}, Data: runtime.RawExtension{Raw: []byte(`[]`)}}
	all := []*appsv1.ControllerRevision{three, broken, one, other, two}
	for _, c := range []struct{ image, current, old string }{
		{"v3", "three", "broken one two other"},
		{"v1", "one", "broken two three other"},
		{"v4", "other", "broken one two three"},
		{"v9", "", "broken one two three other"},
	} {
		h, err := arrange(all, template(c.image))
		if err != nil {
			t.Fatal(err)
		}
		current := ""
		if h.Current != nil {
			current = h.Current.Name
		}
		if current != c.current || names(h.Old) != c.old {
			t.Errorf("%s: current %q, old %q; want %q, %q", c.image, current, names(h.Old), c.current, c.old)
		}
	}
	// Of two that keep the same, the newer is the present one.
	again := revision(t, "again", "v1", 5)
	if h, _ := arrange([]*appsv1.ControllerRevision{again, one}, template("v1")); h.Current != again || names(h.Old) != "one" {
		t.Errorf("of two, %v is the present one", h.Current)
	}
	h, _ := arrange(all, template("v1"))
	if h.next() != 5 {
		t.Errorf("next is %d, want 5: one above the highest of the others", h.next())
	}
	if h.Named("one") != one || h.Named("two") != two || h.Named("none") != nil {
		t.Error("Named finds others than those of the name")
	}
}

func TestTemplateComesBack(t *testing.T) {
	got, err := Template(revision(t, "r", "v7", 1))
	if err != nil || got.Spec.Containers[0].Image != "v7" || got.Labels["app"] != "a" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNewRevision(t *testing.T) {
	parent := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "ds", Namespace: "n", Annotations: map[string]string{
		"kubernetes.io/change-cause": "because", corev1.LastAppliedConfigAnnotation: "{}",
	}}}
	data, _ := patch(template("v1"))
	once := int32(1)
	r := newRevision(parent, metav1.OwnerReference{}, "hash", data, template("v1"), nil, 3)
	s := newRevision(parent, metav1.OwnerReference{}, "hash", data, template("v1"), &once, 3)
	if r.Name != "ds-"+r.Labels["hash"] || r.Labels["app"] != "a" || r.Revision != 3 {
		t.Errorf("%+v", r)
	}
	if r.Name == s.Name {
		t.Errorf("after a collision the name is again %s", r.Name)
	}
	if len(r.Annotations) != 1 || r.Annotations["kubernetes.io/change-cause"] != "because" {
		t.Errorf("annotations %v", r.Annotations)
	}
}

func TestExpired(t *testing.T) {
	old := []*appsv1.ControllerRevision{revision(t, "a", "1", 1), revision(t, "b", "2", 2), revision(t, "c", "3", 3), revision(t, "d", "4", 4)}
	used := func(list ...string) func(*appsv1.ControllerRevision) bool {
		return func(r *appsv1.ControllerRevision) bool { return slices.Contains(list, r.Name) }
	}
	for _, c := range []struct {
		limit int
		used  []string
		want  string
	}{
		{10, nil, ""}, {-1, nil, ""}, {2, nil, "a b"}, {0, nil, "a b c d"}, {1, []string{"a", "c"}, "b"}, {2, []string{"a", "b"}, ""},
	} {
		if got := names(expired(old, used(c.used...), c.limit)); got != c.want {
			t.Errorf("limit %d, in use %v: %q go, want %q", c.limit, c.used, got, c.want)
		}
	}
}
