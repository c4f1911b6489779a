package endpointslicemirroring

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func TestReconcile(t *testing.T) {
	one := corev1.EndpointSubset{Addresses: addresses("10.0.0.1"), Ports: tcp(80)}
	service := func(selector map[string]string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "d", UID: "s"}, Spec: corev1.ServiceSpec{Selector: selector}}
	}
	mirror := plan(custom(one), nil).create[0]
	mirror.Name, mirror.GenerateName = "a", ""
	theirs := mirror.DeepCopy()
	theirs.Name, theirs.Labels = "theirs", map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: "me"}
	unmirrored := custom(one)
	unmirrored.Labels[discoveryv1.LabelSkipMirror] = "true"
	lock := custom(one)
	lock.Annotations[resourcelock.LeaderElectionRecordAnnotationKey] = "{}"
	other := custom(one)
	other.Labels["team"] = "y"
	for what, tt := range map[string]struct {
		objects []runtime.Object
		want    []string
	}{
		"mirrored":                    {[]runtime.Object{service(nil), custom(one), theirs}, []string{"create endpointslices web-*"}},
		"as it is":                    {[]runtime.Object{service(nil), custom(one), mirror, theirs}, nil},
		"changed":                     {[]runtime.Object{service(nil), other, mirror}, []string{"update endpointslices a"}},
		"a Service that selects pods": {[]runtime.Object{service(map[string]string{"a": "b"}), custom(one), mirror, theirs}, []string{"delete endpointslices a"}},
		"no Service":                  {[]runtime.Object{custom(one), mirror}, []string{"delete endpointslices a"}},
		"no Endpoints":                {[]runtime.Object{service(nil), mirror}, []string{"delete endpointslices a"}},
		"not to be mirrored":          {[]runtime.Object{service(nil), unmirrored, mirror}, []string{"delete endpointslices a"}},
		"a lock":                      {[]runtime.Object{service(nil), lock, mirror}, []string{"delete endpointslices a"}},
		"nothing":                     {[]runtime.Object{service(nil)}, nil},
	} {
		f := controllertest.New(tt.objects...)
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "web"}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := f.Writes(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", what, got, tt.want)
		}
	}
}

func TestWhatIsLeftOutIsTold(t *testing.T) {
	var many []string
	for i := range perSubset + 1 {
		many = append(many, fmt.Sprintf("10.0.%d.%d", i/256, i%256))
	}
	e := custom(corev1.EndpointSubset{Addresses: addresses(many...), Ports: tcp(80)}, corev1.EndpointSubset{Addresses: addresses("x"), Ports: tcp(81)})
	f := controllertest.New(e, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "d"}})
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "web"}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Warning InvalidIPAddress Skipped 1 invalid IP addresses when mirroring to EndpointSlices",
		"Warning TooManyAddressesToMirror A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 2 addresses were skipped",
	}
	if got := f.Told(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
