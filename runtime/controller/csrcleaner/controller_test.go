package csrcleaner

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func certificate(t *testing.T, ends time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestHowLongRequestsAreKept(t *testing.T) {
	start := controllertest.Start
	request := func(cert []byte, conditions ...certificatesv1.RequestConditionType) *certificatesv1.CertificateSigningRequest {
		r := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r", UID: "u", CreationTimestamp: metav1.NewTime(start.Add(-time.Minute))}}
		for _, c := range conditions {
			r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: c, LastUpdateTime: metav1.NewTime(start)})
		}
		r.Status.Certificate = cert
		return r
	}
	long := certificate(t, start.Add(1000*time.Hour))
	for name, tt := range map[string]struct {
		r    *certificatesv1.CertificateSigningRequest
		kept time.Duration // 0: as long as it is
	}{
		"pending":                 {request(nil), 24*time.Hour - time.Minute},
		"denied":                  {request(nil, "Denied"), time.Hour},
		"failed":                  {request(nil, "Approved", "Failed"), time.Hour},
		"issued":                  {request(long, "Approved"), time.Hour},
		"issued, ended":           {request(certificate(t, start.Add(20*time.Minute)), "Approved"), 20 * time.Minute},
		"issued, whatever it is":  {request([]byte("x"), "Approved"), time.Hour},
		"approved, never issued":  {request(nil, "Approved"), 24 * time.Hour},
		"of another's condition":  {request(nil, "Odd"), 0},
		"with a certificate only": {request(long), 24*time.Hour - time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			f := controllertest.New(tt.r)
			c, err := New(f.Deps)
			if err != nil {
				t.Fatal(err)
			}
			f.Sync(t)
			again, err := c.reconcile(t.Context(), types.NamespacedName{Name: "r"})
			if err != nil || again != tt.kept || len(f.Writes()) > 0 {
				t.Fatalf("again after %s: %v, %v", again, err, f.Writes())
			}
			f.Clock.Step(tt.kept)
			if _, err := c.reconcile(t.Context(), types.NamespacedName{Name: "r"}); err != nil {
				t.Fatal(err)
			}
			if deleted := len(f.Writes()) == 1; deleted != (tt.kept > 0) {
				t.Errorf("writes %v", f.Writes())
			}
		})
	}
}

func TestPodCertificateRequestsGo(t *testing.T) {
	r := &certificatesv1.PodCertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "r", CreationTimestamp: metav1.NewTime(controllertest.Start)}}
	f := controllertest.New(r)
	c, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	key := types.NamespacedName{Namespace: "n", Name: "r"}
	f.Clock.Step(10 * time.Minute)
	if again, err := c.reconcile(t.Context(), key); err != nil || again != 5*time.Minute || len(f.Writes()) > 0 {
		t.Errorf("again after %s: %v, %v", again, err, f.Writes())
	}
	f.Clock.Step(5 * time.Minute)
	if again, err := c.reconcile(t.Context(), key); err != nil || again != 0 || len(f.Writes()) != 1 {
		t.Errorf("again after %s: %v, %v", again, err, f.Writes())
	}
}

// TestADeletionThatFails is tried again, unless the request is gone or another of its name
// has come.
func TestADeletionThatFails(t *testing.T) {
	of := certificatesv1.Resource("certificatesigningrequests")
	for name, tt := range map[string]struct{ err, want error }{
		"it is gone":    {apierrors.NewNotFound(of, "r"), nil},
		"it is another": {apierrors.NewConflict(of, "r", errors.New("its UID is not u")), nil},
		"refused":       {errRefused, errRefused},
	} {
		t.Run(name, func(t *testing.T) {
			f := controllertest.New(&certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r", UID: "u", CreationTimestamp: metav1.NewTime(controllertest.Start)}})
			f.API.PrependReactor("delete", "certificatesigningrequests", func(a clienttesting.Action) (bool, runtime.Object, error) {
				if p := a.(clienttesting.DeleteAction).GetDeleteOptions().Preconditions; p == nil || p.UID == nil || *p.UID != "u" {
					t.Errorf("preconditions %+v", p)
				}
				return true, nil, tt.err
			})
			c, err := New(f.Deps)
			if err != nil {
				t.Fatal(err)
			}
			f.Sync(t)
			f.Clock.Step(1000 * time.Hour)
			again, err := c.reconcile(t.Context(), types.NamespacedName{Name: "r"})
			if again != 0 || !errors.Is(err, tt.want) || len(f.Writes()) != 1 {
				t.Errorf("again after %s: %v, %v", again, err, f.Writes())
			}
		})
	}
}

var errRefused = errors.New("refused")
