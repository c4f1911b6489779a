package scheduler

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/clock"
)

// binderOf is a binder whose caches hold the objects, which the API has too.
func binderOf(t *testing.T, pod *corev1.Pod, claims []*corev1.PersistentVolumeClaim, volumes []*corev1.PersistentVolume) (*volumeBinder, func(any)) {
	t.Helper()
	api := fake.NewClientset()
	f := informers.NewSharedInformerFactory(api, 0)
	put := func(o any) {
		var err error
		switch o := o.(type) {
		case *corev1.Pod:
			err = f.Core().V1().Pods().Informer().GetStore().Add(o)
		case *corev1.PersistentVolumeClaim:
			err = f.Core().V1().PersistentVolumeClaims().Informer().GetStore().Add(o)
		case *corev1.PersistentVolume:
			err = f.Core().V1().PersistentVolumes().Informer().GetStore().Add(o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(pod)
	for _, c := range claims {
		put(c)
		if err := api.Tracker().Add(c); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range volumes {
		put(v)
		if err := api.Tracker().Add(v); err != nil {
			t.Fatal(err)
		}
	}
	return newVolumeBinder(api, f, clock.RealClock{}), put
}

// TestAPodWaitsForItsVolumes: until all are bound, or one of them never will be.
func TestAPodWaitsForItsVolumes(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{corev1.LabelHostname: "a"}}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", UID: "u"}}
	claim := func(version, at, volume string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "c", ResourceVersion: version, Annotations: map[string]string{volumehelpers.AnnSelectedNode: at}}}
		if volume != "" {
			c.Spec.VolumeName, c.Status.Phase, c.Annotations[volumehelpers.AnnBindCompleted] = volume, corev1.ClaimBound, "yes"
		}
		return c
	}
	volume := func(version, at string, claim types.UID) *corev1.PersistentVolume {
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v", ResourceVersion: version}}
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "n", Name: "c", UID: claim}
		if at != "" {
			v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{at}}},
			}}}}
		}
		return v
	}
	const waits = "waits"
	for name, tt := range map[string]struct {
		claim  *corev1.PersistentVolumeClaim // as the cache has it
		volume *corev1.PersistentVolume
		static bool
		want   string // "": bound
	}{
		"provisioned":               {claim("5", "a", "v"), volume("5", "a", "x"), false, ""},
		"not yet":                   {claim("5", "a", ""), nil, false, waits},
		"a volume comes late":       {claim("5", "a", "v"), nil, false, waits},
		"the cache is behind":       {claim("4", "", ""), nil, false, waits},
		"the choice was taken back": {claim("5", "", ""), nil, false, `provisioning failed for PVC "c"`},
		"provisioned elsewhere":     {claim("5", "a", "v"), volume("5", "b", "x"), false, `node affinity doesn't match node "a"`},
		"bound":                     {claim("5", "", "v"), volume("5", "a", "x"), true, ""},
		"bound in half":             {claim("5", "", ""), volume("5", "a", "x"), true, waits},
		"bound but for its phase":   {func() *corev1.PersistentVolumeClaim { c := claim("5", "a", "v"); c.Status.Phase = ""; return c }(), volume("5", "a", "x"), false, waits},
		"reset":                     {claim("5", "", ""), volume("6", "a", ""), true, `ClaimRef got reset for pv "v"`},
		"behind its reset":          {claim("5", "", ""), volume("4", "a", ""), true, waits},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var volumes []*corev1.PersistentVolume
				if tt.volume != nil {
					volumes = append(volumes, tt.volume)
				}
				b, put := binderOf(t, pod, []*corev1.PersistentVolumeClaim{tt.claim}, volumes)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				result := make(chan error, 1)
				go func() {
					if tt.static {
						result <- b.Bind(ctx, pod, node, []*corev1.PersistentVolume{volume("5", "a", "x")}, nil)
						return
					}
					result <- b.Bind(ctx, pod, node, nil, []*corev1.PersistentVolumeClaim{claim("5", "a", "")})
				}()
				synctest.Wait()
				select {
				case err := <-result:
					if tt.want == waits || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
						t.Errorf("%v, want %q", err, tt.want)
					}
					return
				default:
				}
				if tt.want != waits {
					t.Fatal("it waits")
				}
				put(claim("6", "a", "v"))
				put(volume("6", "a", "x"))
				b.news.tell()
				synctest.Wait()
				select {
				case err := <-result:
					if err != nil {
						t.Error(err)
					}
				default:
					t.Error("it still waits")
				}
			})
		})
	}
}

// TestWaitingEnds with the pod, with the process, and after a time.
func TestWaitingEnds(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", UID: "u"}}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "c", ResourceVersion: "5", Annotations: map[string]string{volumehelpers.AnnSelectedNode: "a"}}}
	for want, end := range map[string]func(b *volumeBinder, put func(any), cancel func()){
		"context canceled":          func(_ *volumeBinder, _ func(any), cancel func()) { cancel() },
		"context deadline exceeded": func(*volumeBinder, func(any), func()) { time.Sleep(bindTimeout) },
		"pod does not exist any more": func(b *volumeBinder, put func(any), _ func()) {
			put(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", UID: "another"}})
			b.news.tell()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, put := binderOf(t, pod, []*corev1.PersistentVolumeClaim{claim}, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			result := make(chan error, 1)
			go func() { result <- b.Bind(ctx, pod, node, nil, []*corev1.PersistentVolumeClaim{claim.DeepCopy()}) }()
			synctest.Wait()
			end(b, put, cancel)
			synctest.Wait()
			select {
			case err := <-result:
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			default:
				t.Errorf("it still waits, after %s", want)
			}
		})
	}
}
