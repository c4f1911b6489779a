package gc

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metadatafake "k8s.io/client-go/metadata/fake"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// TestWhoAwaitsAKindIsToldOfTheFirst: the collector sees every object anyway.
func TestWhoAwaitsAKindIsToldOfTheFirst(t *testing.T) {
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	f := controllertest.New()
	f.Deps.Metadata = metadatafake.NewSimpleMetadataClient(scheme, live("K", "first"))
	first := f.Deps.Presence.Await(schema.GroupResource{Resource: "ks"})
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-first:
		t.Error("told before one is seen")
	default:
	}
	m := r.monitors.start(t.Context(), Resource{schema.GroupVersionResource{Version: "v1", Resource: "ks"}, true}, "K")
	defer r.monitors.wg.Wait()
	defer m.stop()
	select {
	case <-first:
	case <-t.Context().Done():
		t.Error("not told")
	}
}
