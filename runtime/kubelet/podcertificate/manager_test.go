package podcertificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

// world is an API with a signer that the test plays, and a clock.
type world struct {
	t        *testing.T
	api      *fake.Clientset
	now      time.Time
	manager  *Manager
	followed []string
	made     int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.api = fake.NewClientset(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "default", UID: "sa-uid"}})
	w.api.PrependReactor("create", "podcertificaterequests", func(a clienttesting.Action) (bool, runtime.Object, error) {
		r := a.(clienttesting.CreateAction).GetObject().(*certificatesv1.PodCertificateRequest)
		w.made++
		r.Namespace, r.Name = a.GetNamespace(), fmt.Sprint(r.GenerateName, w.made)
		return false, nil, nil
	})
	w.restart()
	return w
}

func (w *world) restart() {
	node := func(context.Context) (*corev1.Node, error) {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "node-uid"}}, nil
	}
	w.manager = NewManager(w.api, node, func() time.Time { return w.now }, func() time.Duration { return time.Minute })
}

func pod() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "pod-uid"}}
}

func (w *world) ask(index int) (Credential, error) {
	p := &corev1.PodCertificateProjection{SignerName: "example.com/a", KeyType: "ED25519", MaxExpirationSeconds: ptr.To[int32](7200), UserAnnotations: map[string]string{"a.b/c": "d"}}
	return w.manager.Credential(w.t.Context(), pod(), Source{"v", index}, p, func(r *certificatesv1.PodCertificateRequest) { w.followed = append(w.followed, r.Name) })
}

// answer ends a request; a certificate is to be renewed an hour from now.
func (w *world) answer(name, condition, chain string) {
	w.t.Helper()
	requests := w.api.CertificatesV1().PodCertificateRequests("ns")
	r, err := requests.Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	r.Status.Conditions = []metav1.Condition{{Type: condition, Status: metav1.ConditionTrue, Reason: "Because", Message: "of it"}}
	r.Status.CertificateChain = chain
	r.Status.BeginRefreshAt = &metav1.Time{Time: w.now.Add(time.Hour)}
	if _, err := requests.UpdateStatus(w.t.Context(), r, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func block(kind, text string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(text)}))
}

const issued = certificatesv1.PodCertificateRequestConditionTypeIssued

// TestARequestIsOfThePod: the signer is told of the pod, its account, its node, what the
// projection asks for, and that the kubelet has the key.
func TestARequestIsOfThePod(t *testing.T) {
	w := newWorld(t)
	if _, err := w.ask(0); !errors.Is(err, ErrPending) {
		t.Fatal(err)
	}
	r, err := w.api.CertificatesV1().PodCertificateRequests("ns").Get(t.Context(), "req-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	proof, err := x509.ParseCertificateRequest(r.Spec.StubPKCS10Request)
	if err == nil {
		err = proof.CheckSignature()
	}
	if err != nil {
		t.Errorf("the proof of the key: %v", err)
	}
	r.Spec.StubPKCS10Request = nil
	want := certificatesv1.PodCertificateRequestSpec{
		SignerName: "example.com/a", PodName: "p", PodUID: "pod-uid", ServiceAccountName: "default", ServiceAccountUID: "sa-uid", NodeName: "n", NodeUID: "node-uid",
		MaxExpirationSeconds: ptr.To[int32](7200), UnverifiedUserAnnotations: map[string]string{"a.b/c": "d"},
	}
	if !reflect.DeepEqual(r.Spec, want) {
		t.Errorf("asks for %+v, want %+v", r.Spec, want)
	}
	if o := r.OwnerReferences; len(o) != 1 || o[0].UID != "pod-uid" || o[0].Kind != "Pod" {
		t.Errorf("it goes with %v", o)
	}
}

// TestACredentialIsKeptAndRenewed: one request until it is answered, what was issued until
// it is to be renewed, and the old one until there is the new one.
func TestACredentialIsKeptAndRenewed(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		if _, err := w.ask(0); !errors.Is(err, ErrPending) {
			t.Fatal(err)
		}
	}
	if w.made != 1 || !reflect.DeepEqual(w.followed, []string{"req-1", "req-1", "req-1"}) {
		t.Errorf("%d requests, followed are %v", w.made, w.followed)
	}
	w.answer("req-1", issued, "note\n"+block("CERTIFICATE", "leaf")+"\n"+block("CERTIFICATE", "ca"))
	first, err := w.ask(0)
	if err != nil || string(first.Chain) != block("CERTIFICATE", "leaf")+block("CERTIFICATE", "ca") {
		t.Fatalf("issued is %q, %v", first.Chain, err)
	}
	if b, _ := pem.Decode(first.Key); b == nil || b.Type != "PRIVATE KEY" {
		t.Errorf("the key is %q", first.Key)
	}
	w.now = w.now.Add(time.Hour + 59*time.Second)
	if again, err := w.ask(0); err != nil || !reflect.DeepEqual(again, first) || w.made != 1 {
		t.Errorf("before its time: %v, %d requests", err, w.made)
	}
	w.now = w.now.Add(2 * time.Second)
	for range 2 {
		if again, err := w.ask(0); err != nil || !reflect.DeepEqual(again, first) || w.made != 2 {
			t.Errorf("until there is a new one: %v, %d requests", err, w.made)
		}
	}
	w.answer("req-2", issued, block("CERTIFICATE", "new"))
	if next, err := w.ask(0); err != nil || string(next.Chain) != block("CERTIFICATE", "new") || reflect.DeepEqual(next.Key, first.Key) {
		t.Errorf("renewed is %q, %v", next.Chain, err)
	}
}

func TestWhatBecomesOfARequest(t *testing.T) {
	for condition, want := range map[string]string{
		certificatesv1.PodCertificateRequestConditionTypeDenied: `was denied, reason="Because", message="of it"`,
		certificatesv1.PodCertificateRequestConditionTypeFailed: `failed, reason="Because", message="of it"`,
	} {
		w := newWorld(t)
		w.ask(0) //nolint:errcheck // it is pending
		w.answer("req-1", condition, "")
		for range 2 {
			if _, err := w.ask(0); err == nil || !strings.Contains(err.Error(), want) || w.made != 1 {
				t.Errorf("%s: %v, %d requests", condition, err, w.made)
			}
		}
		// A pod that comes after it begins anew.
		w.manager.Forget("pod-uid")
		if _, err := w.ask(0); !errors.Is(err, ErrPending) || w.made != 2 {
			t.Errorf("%s, forgotten: %v, %d requests", condition, err, w.made)
		}
	}
	w := newWorld(t)
	w.ask(0) //nolint:errcheck // it is pending
	if err := w.api.CertificatesV1().PodCertificateRequests("ns").Delete(t.Context(), "req-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.ask(0) //nolint:errcheck // it is not found
	if _, err := w.ask(0); !errors.Is(err, ErrPending) || w.made != 2 {
		t.Errorf("deleted: %v, %d requests", err, w.made)
	}
}

func TestSourcesHaveTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.ask(0) //nolint:errcheck // it is pending
	w.ask(1) //nolint:errcheck // it is pending
	w.answer("req-2", issued, block("CERTIFICATE", "b"))
	if _, err := w.ask(0); !errors.Is(err, ErrPending) {
		t.Errorf("the first: %v", err)
	}
	if c, err := w.ask(1); err != nil || string(c.Chain) != block("CERTIFICATE", "b") {
		t.Errorf("the second: %q, %v", c.Chain, err)
	}
}

func TestKeyTypes(t *testing.T) {
	for keyType, want := range map[string]string{"RSA3072": "RSA 3072", "ECDSAP256": "ECDSA 256", "ECDSAP384": "ECDSA 384", "ECDSAP521": "ECDSA 521", "ED25519": "Ed25519"} {
		_, proof, err := generate(keyType)
		if err != nil {
			t.Fatal(err)
		}
		r, err := x509.ParseCertificateRequest(proof)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		switch k := r.PublicKey.(type) {
		case *rsa.PublicKey:
			got = fmt.Sprint("RSA ", k.N.BitLen())
		case *ecdsa.PublicKey:
			got = fmt.Sprint("ECDSA ", k.Params().BitSize)
		case ed25519.PublicKey:
			got = "Ed25519"
		}
		if got != want {
			t.Errorf("%s is %s, want %s", keyType, got, want)
		}
	}
	if _, _, err := generate("RSA512"); err == nil {
		t.Error("a type that nobody knows gives a key")
	}
}
