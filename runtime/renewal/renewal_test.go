package renewal

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/gantry-run/gantry/runtime/config"
)

func TestWhenACertificateIsDue(t *testing.T) {
	for _, lifetime := range []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, year} {
		a, _ := newAuthority(t, "ca", today.Add(10*year), lifetime)
		seen := map[time.Time]bool{}
		for serial := range int64(64) {
			c, _ := kubelet(t, a, serial+1)
			due := Due(c, lifetime)
			if left := c.NotAfter.Sub(due); left < lifetime/3 || left > lifetime*5/12 {
				t.Errorf("of %s, %s are left", lifetime, left)
			}
			if Due(c, lifetime) != due {
				t.Errorf("of %s: another time each time", lifetime)
			}
			seen[due] = true
		}
		if len(seen) < 60 {
			t.Errorf("of %s, 64 are due at %d times only", lifetime, len(seen))
		}
	}
	a, _ := newAuthority(t, "ca", today.Add(10*year), 24*time.Hour)
	c, _ := kubelet(t, a, 1)
	if due := Due(c, time.Hour); due.After(today) {
		t.Errorf("one that lives too long is due on %s", due)
	}
	if due := Due(c, year); c.NotAfter.Sub(due) > 11*time.Hour || c.NotAfter.Sub(due) < 8*time.Hour {
		t.Errorf("one that lives shorter than it should is due on %s", due)
	}
}

func TestHowOftenAFailedRenewalIsTried(t *testing.T) {
	a, _ := newAuthority(t, "ca", today.Add(10*year), time.Hour)
	c, _ := kubelet(t, a, 1)
	for left, want := range map[time.Duration]time.Duration{
		time.Hour: 3 * time.Minute, 10 * time.Minute: 30 * time.Second, time.Minute: 5 * time.Second, -time.Hour: 5 * time.Second, 100 * time.Hour: 10 * time.Minute,
	} {
		if got := retryPause(c, c.NotAfter.Add(-left)); got != want {
			t.Errorf("with %s left: after %s, want %s", left, got, want)
		}
	}
}

func TestACertificateBegetsItsEqual(t *testing.T) {
	a, _ := newAuthority(t, "ca", today.Add(2*year), year)
	other, _ := newAuthority(t, "other", today.Add(2*year), year)
	old, _ := kubelet(t, a, 7)
	key := newKey(t)
	now := today.Add(200 * 24 * time.Hour)
	c, err := a.Renew(old, key.Public(), now, now)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject.String() != old.Subject.String() || !slices.Equal(c.DNSNames, old.DNSNames) || !slices.EqualFunc(c.IPAddresses, old.IPAddresses, net.IP.Equal) ||
		c.KeyUsage != old.KeyUsage || !slices.Equal(c.ExtKeyUsage, old.ExtKeyUsage) || c.IsCA {
		t.Errorf("it says %+v", c)
	}
	if c.SerialNumber.Cmp(old.SerialNumber) == 0 || !key.PublicKey.Equal(c.PublicKey) || c.CheckSignatureFrom(a.cert) != nil {
		t.Errorf("serial %s", c.SerialNumber)
	}
	if !c.NotBefore.Equal(now.Add(-config.ClockSkew)) || !c.NotAfter.Equal(now.Add(year)) {
		t.Errorf("from %s to %s", c.NotBefore, c.NotAfter)
	}
	// A node that was revoked and came back has one that begins later than others.
	if c, err = a.Renew(old, key.Public(), today.Add(time.Minute), today.Add(time.Minute)); err != nil || !c.NotBefore.Equal(today.Add(time.Minute-config.ClockSkew)) {
		t.Errorf("a minute later: %v", err)
	}
	if c, err = a.Renew(old, key.Public(), today.Add(-time.Minute), today.Add(-time.Minute)); err != nil || !c.NotBefore.Equal(old.NotBefore) {
		t.Errorf("by a clock that is behind: %v", err)
	}
	if c, err = a.Renew(old, key.Public(), today.Add(year), today.Add(year)); err != nil || !c.NotAfter.Equal(today.Add(2*year)) {
		t.Errorf("at its very end: %v", err)
	}
	for what, refused := range map[string]func() error{
		"an authority": func() error { _, err := a.Renew(a.cert, key.Public(), today, today); return err },
		"another's": func() error {
			c, _ := kubelet(t, other, 7)
			_, err := a.Renew(c, key.Public(), today, today)
			return err
		},
		"one that ended": func() error {
			_, err := a.Renew(old, key.Public(), old.NotAfter.Add(time.Second), old.NotAfter.Add(time.Second))
			return err
		},
		"one to come": func() error {
			_, err := a.Renew(old, key.Public(), old.NotBefore.Add(-time.Second), old.NotBefore.Add(-time.Second))
			return err
		},
	} {
		if refused() == nil {
			t.Errorf("%s is renewed", what)
		}
	}
}

// With its authority's end near, a certificate is not signed in a circle.
func TestAnAuthorityThatEndsRenewsNothing(t *testing.T) {
	a, _ := newAuthority(t, "ca", today.Add(time.Hour), 24*time.Hour)
	old, _ := kubelet(t, a, 1)
	old.NotAfter = today.Add(time.Hour) // as Issue cuts it
	if _, err := a.Renew(old, newKey(t).Public(), today, today); err == nil || !strings.Contains(err.Error(), "the authority ca itself ends on 2026-03-01T13:00:00Z") {
		t.Errorf("got %v", err)
	}
}

// request is one of the node w1 for its certificate.
func request(t *testing.T, old *x509.Certificate, oldKey *ecdsa.PrivateKey) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	r, err := Request(old, oldKey, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	r.CreationTimestamp = metav1.NewTime(today)
	r.Spec.Username, r.Spec.Groups = "system:node:w1", []string{"system:nodes", "system:authenticated"}
	return r
}

func TestWhoHasACertificateGetsItAgain(t *testing.T) {
	a, _ := newAuthority(t, "ca", today.Add(2*year), year)
	for what, make := range map[string]func() (*x509.Certificate, *ecdsa.PrivateKey){
		"the kubelet's": func() (*x509.Certificate, *ecdsa.PrivateKey) { return kubelet(t, a, 1) },
		"the proxy's":   func() (*x509.Certificate, *ecdsa.PrivateKey) { return a.leaf(t, 1, config.ProxyUser, nil, "w1") },
		"DNS'":          func() (*x509.Certificate, *ecdsa.PrivateKey) { return a.leaf(t, 1, config.DNSUser, nil, "w1") },
	} {
		old, key := make()
		text, err := a.Sign(request(t, old, key), today.Add(requestLives))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if c, err := ParseCertificate(text); err != nil || c.Subject.String() != old.Subject.String() || !c.NotBefore.Equal(today.Add(-config.ClockSkew)) || !c.NotAfter.Equal(today.Add(requestLives+year)) || !Due(c, year).After(today) {
			t.Errorf("%s: %v %v", what, c, err)
		}
	}
}

func TestWhoHasNoCertificateGetsNone(t *testing.T) {
	a, _ := newAuthority(t, "ca", today.Add(2*year), year)
	stranger, _ := newAuthority(t, "stranger", today.Add(2*year), year)
	old, key := kubelet(t, a, 1)
	// resign changes the request that is signed, with the proof as it must be.
	resign := func(r *certificatesv1.CertificateSigningRequest, change func(*x509.CertificateRequest)) {
		template := &x509.CertificateRequest{RawSubject: old.RawSubject, DNSNames: slices.Clone(old.DNSNames), IPAddresses: slices.Clone(old.IPAddresses)}
		change(template)
		der, err := x509.CreateCertificateRequest(rand.Reader, template, newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		r.Spec.Request = encode("CERTIFICATE REQUEST", der)
		prove(t, r, key)
	}
	of := func(c *x509.Certificate, k *ecdsa.PrivateKey) func(*certificatesv1.CertificateSigningRequest) {
		return func(r *certificatesv1.CertificateSigningRequest) { *r = *request(t, c, k) }
	}
	for what, tc := range map[string]struct {
		change func(*certificatesv1.CertificateSigningRequest)
		now    time.Time
		want   string
	}{
		"the right one":             {func(*certificatesv1.CertificateSigningRequest) {}, today, ""},
		"the same request again":    {func(r *certificatesv1.CertificateSigningRequest) { resign(r, func(*x509.CertificateRequest) {}) }, today, ""},
		"another user":              {func(r *certificatesv1.CertificateSigningRequest) { r.Spec.Username = "eve" }, today, "eve is no node"},
		"no name of a node":         {func(r *certificatesv1.CertificateSigningRequest) { r.Spec.Username = "system:node:" }, today, "is no node"},
		"not in the group":          {func(r *certificatesv1.CertificateSigningRequest) { r.Spec.Groups = nil }, today, "is no node"},
		"another node":              {func(r *certificatesv1.CertificateSigningRequest) { r.Spec.Username = "system:node:w2" }, today, "is none of node w2"},
		"no certificate":            {func(r *certificatesv1.CertificateSigningRequest) { delete(r.Annotations, currentAnnotation) }, today, "no PEM certificate"},
		"another's certificate":     {of(kubelet(t, stranger, 1)), today, "the certificate of annotation"},
		"another node's proxy":      {of(a.leaf(t, 1, config.ProxyUser, nil, "w2")), today, "is none of node w1"},
		"the API server's":          {of(a.leaf(t, 1, "kube-apiserver", nil, "w1", "kubernetes")), today, "is none of node w1"},
		"an administrator's":        {of(a.leaf(t, 1, "admin", []string{"system:masters"}, "w1")), today, "is none of node w1"},
		"the scheduler's":           {of(a.leaf(t, 1, config.SchedulerUser, nil, "w1")), today, "is none of node w1"},
		"one that ended":            {func(*certificatesv1.CertificateSigningRequest) {}, today.Add(year + time.Second), "it has ended"},
		"one that nobody waits for": {func(*certificatesv1.CertificateSigningRequest) {}, today.Add(requestLives + time.Second), "it is too old"},
		"without the key":           {func(r *certificatesv1.CertificateSigningRequest) { prove(t, r, newKey(t)) }, today, "is not the signature"},
		"without a proof":           {func(r *certificatesv1.CertificateSigningRequest) { delete(r.Annotations, proofAnnotation) }, today, "is not the signature"},
		"a proof that is no base64": {func(r *certificatesv1.CertificateSigningRequest) { r.Annotations[proofAnnotation] = "?" }, today, "annotation renewal.gantry.run/proof"},
		"the proof of another":      {func(r *certificatesv1.CertificateSigningRequest) { r.Spec.Request = request(t, old, key).Spec.Request }, today, "is not the signature"},
		"no request":                {func(r *certificatesv1.CertificateSigningRequest) { r.Spec.Request = []byte("x"); prove(t, r, key) }, today, "no PEM certificate request"},
		"another name": {func(r *certificatesv1.CertificateSigningRequest) {
			resign(r, func(c *x509.CertificateRequest) { c.DNSNames = append(c.DNSNames, "kubernetes") })
		}, today, "are not those"},
		"another address": {func(r *certificatesv1.CertificateSigningRequest) {
			resign(r, func(c *x509.CertificateRequest) { c.IPAddresses[1] = net.IPv4(192, 0, 2, 9) })
		}, today, "are not those"},
		"a group more": {func(r *certificatesv1.CertificateSigningRequest) {
			resign(r, func(c *x509.CertificateRequest) {
				c.RawSubject = nil
				c.Subject = pkix.Name{CommonName: "system:node:w1", Organization: []string{"system:nodes", "system:masters"}}
			})
		}, today, "are not those"},
		"a mail address": {func(r *certificatesv1.CertificateSigningRequest) {
			resign(r, func(c *x509.CertificateRequest) { c.EmailAddresses = []string{"a@example.org"} })
		}, today, "are not those"},
		"other usages": {func(r *certificatesv1.CertificateSigningRequest) {
			r.Spec.Usages = append(r.Spec.Usages, certificatesv1.UsageCertSign)
		}, today, "spec.usages"},
		"a usage less": {func(r *certificatesv1.CertificateSigningRequest) { r.Spec.Usages = r.Spec.Usages[:2] }, today, "spec.usages"},
	} {
		r := request(t, old, key)
		tc.change(r)
		text, err := a.Sign(r, tc.now)
		if tc.want == "" && (err != nil || len(text) == 0) || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", what, err, tc.want)
		}
	}
}

func prove(t *testing.T, r *certificatesv1.CertificateSigningRequest, key *ecdsa.PrivateKey) {
	t.Helper()
	sum := sha(r.Spec.Request)
	proof, err := key.Sign(rand.Reader, sum, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	r.Annotations[proofAnnotation] = base64.StdEncoding.EncodeToString(proof)
}

func TestAMasterSignsWithTheAuthorityThatSignedBefore(t *testing.T) {
	ca, caFiles := newAuthority(t, "ca", today.Add(2*year), year)
	etcd, etcdFiles := newAuthority(t, "etcd-ca", today.Add(2*year), year)
	stranger, _ := newAuthority(t, "stranger", today.Add(2*year), year)
	l := Local{Authorities: []config.KeyPair{caFiles, etcdFiles}, Lifetime: time.Hour, Clock: testclock.NewFakePassiveClock(today)}
	for _, a := range []*Authority{ca, etcd} {
		old, _ := a.leaf(t, 1, "n", nil)
		c, err := l.Sign(t.Context(), old, nil, newKey(t))
		if err != nil || c.CheckSignatureFrom(a.cert) != nil || !c.NotAfter.Equal(today.Add(time.Hour)) {
			t.Errorf("%s: %v", a.cert.Subject, err)
		}
	}
	old, _ := stranger.leaf(t, 1, "n", nil)
	if _, err := l.Sign(t.Context(), old, nil, newKey(t)); err == nil || !strings.Contains(err.Error(), "no authority of this server has signed it") {
		t.Errorf("another's: %v", err)
	}
}
