package objects

import (
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

// TestWhoIsToldOfAnEvent: who has read an earlier version, or found nothing. What was
// mounted of an object that is deleted stays; of trust bundles one that goes counts too.
func TestWhoIsToldOfAnEvent(t *testing.T) {
	secret := func(version string) runtime.Object {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}}
	}
	bundle := &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "9"}}
	for name, tc := range map[string]struct {
		read  string
		event watch.Event
		told  bool
	}{
		"a later version":         {"7", watch.Event{Type: watch.Modified, Object: secret("8")}, true},
		"by number, not by text":  {"9", watch.Event{Type: watch.Modified, Object: secret("10")}, true},
		"the same":                {"8", watch.Event{Type: watch.Added, Object: secret("8")}, false},
		"an earlier one":          {"8", watch.Event{Type: watch.Modified, Object: secret("7")}, false},
		"it comes":                {"", watch.Event{Type: watch.Added, Object: secret("1")}, true},
		"it goes":                 {"7", watch.Event{Type: watch.Deleted, Object: secret("8")}, false},
		"it goes, and was none":   {"", watch.Event{Type: watch.Deleted, Object: secret("8")}, false},
		"a bundle goes":           {"8", watch.Event{Type: watch.Deleted, Object: bundle}, true},
		"a version that is none":  {"x", watch.Event{Type: watch.Modified, Object: secret("8")}, false},
		"what is no object":       {"", watch.Event{Type: watch.Error, Object: &metav1.Status{}}, false},
		"a bookmark of an object": {"7", watch.Event{Type: watch.Bookmark, Object: secret("8")}, true},
	} {
		told := false
		w := &watched{users: map[string]*user{"u": {tc.read, func() { told = true }}}}
		NewManager(fake.NewClientset(), "n").tell(w, tc.event)
		if told != tc.told {
			t.Errorf("%s: told %t", name, told)
		}
	}
}

// TestWhatNeverChangesAgain is watched no more.
func TestWhatNeverChangesAgain(t *testing.T) {
	request := &certificatesv1.PodCertificateRequest{}
	decided := &certificatesv1.PodCertificateRequest{Status: certificatesv1.PodCertificateRequestStatus{Conditions: []metav1.Condition{{Type: "Denied"}}}}
	for _, tc := range []struct {
		object runtime.Object
		want   bool
	}{
		{&corev1.ConfigMap{}, false}, {&corev1.ConfigMap{Immutable: ptr.To(false)}, false}, {&corev1.ConfigMap{Immutable: ptr.To(true)}, true},
		{&corev1.Secret{}, false}, {&corev1.Secret{Immutable: ptr.To(false)}, false}, {&corev1.Secret{Immutable: ptr.To(true)}, true},
		{request, false}, {decided, true}, {&certificatesv1.ClusterTrustBundle{}, false}, {&corev1.Pod{}, false},
	} {
		if got := immutable(tc.object); got != tc.want {
			t.Errorf("%T: %t", tc.object, got)
		}
	}
}

// TestWhatIsWatched: the one object that is named, of requests for certificates this
// node's, and of trust bundles all.
func TestWhatIsWatched(t *testing.T) {
	for kind, want := range map[Kind]string{
		ConfigMap: "configmaps metadata.name=x", Secret: "secrets metadata.name=x", ClusterTrustBundle: "clustertrustbundles ",
		PodCertificateRequest: "podcertificaterequests metadata.name=x,spec.nodeName=n",
	} {
		api, got := fake.NewClientset(), ""
		api.PrependWatchReactor("*", func(a clienttesting.Action) (bool, watch.Interface, error) {
			got = a.GetResource().Resource + " " + a.(clienttesting.WatchActionImpl).WatchRestrictions.Fields.String()
			return true, watch.NewFake(), nil
		})
		if _, err := NewManager(api, "n").watch(t.Context(), Key{kind, "d", "x"}); err != nil || got != want {
			t.Errorf("%s: watched is %q, %v", kind, got, err)
		}
	}
}

// TestReleaseKeepsWhatOthersUse.
func TestReleaseKeepsWhatOthersUse(t *testing.T) {
	stopped := map[string]int{}
	m := NewManager(fake.NewClientset(), "n")
	for name, users := range map[string][]string{"shared": {"a", "b"}, "own": {"a"}, "other": {"b"}} {
		w := &watched{stop: func() { stopped[name]++ }, users: map[string]*user{}}
		for _, u := range users {
			w.users[u] = &user{}
		}
		m.watched[Key{ConfigMap, "d", name}] = w
	}
	m.Release("a")
	if len(m.watched) != 2 || stopped["own"] != 1 || stopped["shared"]+stopped["other"] != 0 {
		t.Errorf("watched are %d, stopped %v", len(m.watched), stopped)
	}
}
