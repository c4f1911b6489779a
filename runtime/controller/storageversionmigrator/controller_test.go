package storageversionmigrator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	migrationv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	fakediscovery "k8s.io/client-go/discovery/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func TestAMigration(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "b", errors.New("changed"))
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "b")
	for name, tt := range map[string]struct {
		resource string
		done     migrationv1.MigrationConditionType // before
		refuse   error                              // of b
		written  string
		end      migrationv1.MigrationConditionType
		failure  string
	}{
		"all":                   {resource: "secrets", written: "a b c", end: migrationv1.MigrationSucceeded},
		"one changed meanwhile": {resource: "secrets", refuse: conflict, written: "a b c", end: migrationv1.MigrationSucceeded},
		"one went meanwhile":    {resource: "secrets", refuse: gone, written: "a b c", end: migrationv1.MigrationSucceeded},
		"one cannot be written": {resource: "secrets", refuse: errors.New("no"), written: "a b", failure: "write secrets n/b again: no"},
		"nobody serves it":      {resource: "wishes", end: migrationv1.MigrationFailed},
		"it is only read":       {resource: "reports", end: migrationv1.MigrationFailed},
		"it has succeeded":      {resource: "secrets", done: migrationv1.MigrationSucceeded, end: migrationv1.MigrationSucceeded},
		"it has failed":         {resource: "secrets", done: migrationv1.MigrationFailed, end: migrationv1.MigrationFailed},
	} {
		t.Run(name, func(t *testing.T) {
			m := &migrationv1.StorageVersionMigration{ObjectMeta: metav1.ObjectMeta{Name: "m"}}
			m.Spec.Resource.Resource = tt.resource
			if tt.done != "" {
				set(m, tt.done, metav1.ConditionTrue, "R", "")
			}
			f := controllertest.New(m)
			f.API.Discovery().(*fakediscovery.FakeDiscovery).Resources = []*metav1.APIResourceList{{GroupVersion: "v1", APIResources: []metav1.APIResource{
				{Name: "secrets", Kind: "Secret", Namespaced: true, Verbs: metav1.Verbs{"list", "patch"}},
				{Name: "reports", Kind: "Report", Namespaced: true, Verbs: metav1.Verbs{"list"}},
			}}}
			var written []string
			objects := stored(t, "a", "b", "c")
			objects.PrependReactor("patch", "secrets", func(a clienttesting.Action) (bool, runtime.Object, error) {
				p := a.(clienttesting.PatchAction)
				written = append(written, p.GetName())
				if want := fmt.Sprintf(`"uid":"uid-%s"`, p.GetName()); !strings.Contains(string(p.GetPatch()), want) {
					t.Errorf("patch %s, want %s", p.GetPatch(), want)
				}
				if p.GetName() == "b" && tt.refuse != nil {
					return true, nil, tt.refuse
				}
				return true, &metav1.PartialObjectMetadata{}, nil
			})
			f.Deps.Metadata = objects
			r, err := New(f.Deps)
			if err != nil {
				t.Fatal(err)
			}
			f.Sync(t)
			if _, err := r.reconcile(t.Context(), "m"); (err == nil) != (tt.failure == "") || err != nil && !strings.Contains(err.Error(), tt.failure) {
				t.Errorf("error %v, want %q", err, tt.failure)
			}
			if slices.Sort(written); strings.Join(written, " ") != tt.written {
				t.Errorf("wrote %q, want %q", written, tt.written)
			}
			got, err := f.API.StoragemigrationV1().StorageVersionMigrations().Get(t.Context(), "m", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, end := range []migrationv1.MigrationConditionType{migrationv1.MigrationSucceeded, migrationv1.MigrationFailed} {
				if is := meta.IsStatusConditionTrue(got.Status.Conditions, string(end)); is != (end == tt.end) {
					t.Errorf("%s: %t", end, is)
				}
			}
			running := meta.IsStatusConditionTrue(got.Status.Conditions, string(migrationv1.MigrationRunning))
			if running != (tt.failure != "") {
				t.Errorf("running: %t", running)
			}
		})
	}
}

// stored are Secrets of a namespace, as their metadata is read.
func stored(t *testing.T, names ...string) *metadatafake.FakeMetadataClient {
	t.Helper()
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var objects []runtime.Object
	for _, name := range names {
		o := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
		o.Namespace, o.Name, o.UID = "n", name, types.UID("uid-"+name)
		objects = append(objects, o)
	}
	return metadatafake.NewSimpleMetadataClient(scheme, objects...)
}
