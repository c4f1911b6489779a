package token

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := fake.NewClientset()
		var asked []*authnv1.TokenRequest
		var refuse error
		api.PrependReactor("create", "serviceaccounts", func(a clienttesting.Action) (bool, runtime.Object, error) {
			req := a.(clienttesting.CreateAction).GetObject().(*authnv1.TokenRequest).DeepCopy()
			asked = append(asked, req)
			req.Status.Token = fmt.Sprint(a.(clienttesting.CreateActionImpl).Name, len(asked))
			req.Status.ExpirationTimestamp = metav1.NewTime(time.Now().Add(time.Duration(*req.Spec.ExpirationSeconds) * time.Second))
			return true, req, refuse
		})
		m := NewManager(api)
		p := &corev1.Pod{}
		p.Name, p.UID, p.Namespace = "p", "u", "ns"
		plain := &corev1.ServiceAccountTokenProjection{Path: "token"}
		vault := &corev1.ServiceAccountTokenProjection{Path: "v", Audience: "vault", ExpirationSeconds: ptr.To[int64](600)}
		want := func(when string, p *corev1.Pod, proj *corev1.ServiceAccountTokenProjection, want string) {
			t.Helper()
			got, err := m.Token(t.Context(), p, proj)
			if err != nil {
				got = "error"
			}
			if got != want {
				t.Errorf("%s: %s, %v, want %s", when, got, err, want)
			}
		}
		want("the first", p, plain, "default1")
		want("again", p, plain, "default1")
		want("another audience", p, vault, "default2")
		if a := asked[1].Spec; *a.ExpirationSeconds != 600 || a.Audiences[0] != "vault" || a.BoundObjectRef.UID != "u" || a.BoundObjectRef.Name != "p" {
			t.Errorf("asked for %+v", a)
		}
		if a := asked[0].Spec; *a.ExpirationSeconds != 3600 || a.Audiences != nil {
			t.Errorf("asked for %+v", a)
		}
		time.Sleep(479 * time.Second)
		want("before four fifths", p, vault, "default2")
		time.Sleep(time.Second)
		want("after four fifths", p, vault, "default3")
		want("the longer one", p, plain, "default1")
		other := p.DeepCopy()
		other.UID, other.Spec.ServiceAccountName = "v", "sa"
		want("another pod", other, plain, "sa4")
		m.Forget("u")
		want("after the pod was forgotten", p, plain, "default5")
		refuse = errors.New("away")
		time.Sleep(time.Hour)
		want("refused", p, plain, "error")
	})
}
