package controllerref

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

var kind = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "ReplicaSet"}

// pod has an owner by its UID (none: it is an orphan), and perhaps the label that is meant.
func pod(name, owner string, meant bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name, UID: types.UID("of-" + name)}}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind.Kind, Name: owner, UID: types.UID(owner), Controller: ptr.To(true)}}
	}
	if meant {
		p.Labels = map[string]string{"app": "web"}
	}
	return p
}

func ended(o metav1.Object) { o.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)}) }

// TestWhoClaimsWhat: an owner has what it controls and means, adopts orphans that it means,
// and releases what it does not mean any more. One that ends does neither, and nothing is
// adopted that ends, or for an owner that the API knows as another or as ending.
func TestWhoClaimsWhat(t *testing.T) {
	resource := schema.GroupResource{Resource: "pods"}
	for name, tc := range map[string]struct {
		pod        *corev1.Pod
		ending     bool // the owner
		podEnds    bool
		live       func(*corev1.Pod) error // what the API knows of the owner
		refused    error                   // what the API says to the patch
		mine       bool
		patch, err string // part of the patch; of the error
	}{
		"its own":                       {pod: pod("p", "me", true), mine: true},
		"its own that ends":             {pod: pod("p", "me", true), podEnds: true, mine: true},
		"its own, and it ends":          {pod: pod("p", "me", true), ending: true, mine: true},
		"another's":                     {pod: pod("p", "another", true)},
		"another's, not meant":          {pod: pod("p", "another", false)},
		"its own, not meant":            {pod: pod("p", "me", false), patch: `{"$patch":"delete","uid":"me"}`},
		"the same, and it ends":         {pod: pod("p", "me", false), ending: true},
		"the same, gone":                {pod: pod("p", "me", false), patch: "delete", refused: apierrors.NewNotFound(resource, "p")},
		"the same, another of its name": {pod: pod("p", "me", false), patch: "delete", refused: apierrors.NewInvalid(schema.GroupKind{}, "p", nil)},
		"the same, refused":             {pod: pod("p", "me", false), patch: "delete", refused: errors.New("no quorum"), err: "release d/p: no quorum"},
		"an orphan":                     {pod: pod("p", "", true), mine: true, patch: `{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"me","controller":true,"blockOwnerDeletion":true}`},
		"an orphan that is not meant":   {pod: pod("p", "", false)},
		"an orphan, and it ends":        {pod: pod("p", "", true), ending: true},
		"an orphan that ends":           {pod: pod("p", "", true), podEnds: true},
		"an orphan that is gone":        {pod: pod("p", "", true), patch: "apps/v1", refused: apierrors.NewNotFound(resource, "p")},
		"an orphan, refused":            {pod: pod("p", "", true), patch: "apps/v1", refused: errors.New("no quorum"), err: "adopt d/p: no quorum"},
		"the owner was made anew":       {pod: pod("p", "", true), live: func(o *corev1.Pod) error { o.UID = "new"; return nil }, err: "ReplicaSet d/web was deleted meanwhile"},
		"the owner ends in the API":     {pod: pod("p", "", true), live: func(o *corev1.Pod) error { ended(o); return nil }, err: "ReplicaSet d/web was deleted meanwhile"},
		"the owner cannot be read":      {pod: pod("p", "", true), live: func(*corev1.Pod) error { return errors.New("no quorum") }, err: "read ReplicaSet d/web before adopting: no quorum"},
	} {
		t.Run(name, func(t *testing.T) {
			owner := pod("web", "", false)
			owner.UID = "me"
			asked := 0
			live := func(context.Context) (metav1.Object, error) {
				asked++
				now := owner.DeepCopy()
				if tc.live != nil {
					return now, tc.live(now)
				}
				return now, nil
			}
			if tc.podEnds {
				ended(tc.pod)
			}
			var patches []string
			m := Manager{Owner: owner, Kind: kind, Selector: labels.SelectorFromSet(labels.Set{"app": "web"}), Live: live,
				Patch: func(_ context.Context, name string, patch []byte) error {
					patches = append(patches, name+" "+string(patch))
					return tc.refused
				}}
			if tc.ending {
				ended(owner)
			}
			mine, err := ClaimObjects(t.Context(), m, []*corev1.Pod{tc.pod, tc.pod})
			if (len(mine) == 2) != tc.mine || (len(mine) == 0) == tc.mine {
				t.Errorf("it has %d of both", len(mine))
			}
			if (err == nil) != (tc.err == "") || !strings.Contains(fmt.Sprint(err), tc.err) && tc.err != "" {
				t.Errorf("the error is %v", err)
			}
			if (len(patches) == 2) != (tc.patch != "") || len(patches) > 0 && (!strings.Contains(patches[0], tc.patch) || !strings.Contains(patches[0], `"uid":"of-p"`)) {
				t.Errorf("patched is %q", patches)
			}
			if adopts := tc.pod.OwnerReferences == nil && (tc.patch != "" || tc.live != nil); (asked == 1) != adopts || asked > 1 {
				t.Errorf("the API was asked %d times for the owner", asked)
			}
		})
	}
}

// TestWhoseObjectsAreFound: an owner's candidates are what it controls and the orphans of
// its namespace.
func TestWhoseObjectsAreFound(t *testing.T) {
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &corev1.Pod{}, 0, cache.Indexers{})
	for range 2 {
		if err := AddIndex(informer); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := pod("elsewhere", "", true)
	elsewhere.Namespace = "e"
	for _, p := range []*corev1.Pod{pod("mine", "me", true), pod("orphan", "", false), pod("another's", "another", true), elsewhere} {
		if err := informer.GetIndexer().Add(p); err != nil {
			t.Fatal(err)
		}
	}
	names := func(pods []*corev1.Pod, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range pods {
			out = append(out, p.Name)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	owner := pod("web", "", false)
	owner.UID = "me"
	if got := names(Candidates[*corev1.Pod](informer.GetIndexer(), owner)); got != "mine orphan" {
		t.Errorf("candidates are %s", got)
	}
	if got := names(Controlled[*corev1.Pod](informer.GetIndexer(), "me")); got != "mine" {
		t.Errorf("controlled are %s", got)
	}
	if got := names(Controlled[*corev1.Pod](informer.GetIndexer(), "nobody")); got != "" {
		t.Errorf("nobody controls %s", got)
	}
	other := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	if _, err := Candidates[*corev1.Pod](other, owner); err == nil {
		t.Error("candidates are found without the index")
	}
	if _, err := Controlled[*corev1.Pod](other, "me"); err == nil {
		t.Error("objects are found without the index")
	}
}
