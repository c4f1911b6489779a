package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestClusterTrustBundles(t *testing.T) {
	one, two, leaf := string(authority(t, true)), string(authority(t, true)), string(authority(t, false))
	manifest := func(name, signer, bundle string) string {
		data, err := yaml.Marshal(certificatesv1.ClusterTrustBundle{
			TypeMeta:   metav1.TypeMeta{APIVersion: "certificates.k8s.io/v1", Kind: "ClusterTrustBundle"},
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: signer, TrustBundle: bundle},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	const named = "example.com:a:x"
	kindtest.Create(t, Kinds(), []kindtest.Case{
		{Name: "of nobody", Manifest: manifest("x", "", one+"text\n"+two)},
		{Name: "of a signer", Manifest: manifest(named, "example.com/a", one)},
		{Name: "of a signer, without its prefix", Manifest: manifest("x", "example.com/a", one), Want: "must be named with prefix example.com:a:"},
		{Name: "of a signer, the prefix alone", Manifest: manifest("example.com:a:", "example.com/a", one), Want: "metadata.name: Invalid value"},
		{Name: "of nobody, with a signer's name", Manifest: manifest(named, "", one), Want: `must not have ":" in its name`},
		{Name: "a signer that is none", Manifest: manifest("example:a:x", "example/a", one), Want: "should be a domain with at least two segments"},
		{Name: "empty", Manifest: manifest("x", "", ""), Want: "at least one trust anchor must be provided"},
		{Name: "twice", Manifest: manifest("x", "", one+two+one), Want: "duplicate trust anchor (indices [0 2])"},
		{Name: "no authority", Manifest: manifest("x", "", one+leaf), Want: "entry 1 does not have the CA bit set"},
		{Name: "another block", Manifest: manifest("x", "", strings.ReplaceAll(one, "CERTIFICATE", "KEY")), Want: "entry 0 has bad block type: KEY"},
		{Name: "headers", Manifest: manifest("x", "", strings.Replace(one, "CERTIFICATE-----\n", "CERTIFICATE-----\na: b\n\n", 1)), Want: "entry 0 has PEM block headers"},
		{Name: "garbage", Manifest: manifest("x", "", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))), Want: "does not parse as X.509"},
		{Name: "too long", Manifest: manifest("x", "", strings.Repeat("x", maxTrustBundleSize+1)), Want: "spec.trustBundle: Too long"},
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		{Name: "another signer", Manifest: manifest(named, "example.com/a", one), From: "example.com/a", To: "example.com/b", Want: "field is immutable"},
		{Name: "an empty bundle that stays", Manifest: manifest("x", "", "")},
		{Name: "an empty bundle", Manifest: "apiVersion: certificates.k8s.io/v1\nkind: ClusterTrustBundle\nmetadata: {name: x}\nspec: {trustBundle: x}", From: "trustBundle: x", To: "trustBundle: y", Want: "at least one trust anchor"},
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{{Name: "signed", Manifest: manifest(named, "example.com/a", ""), Want: named + " | example.com/a"}, {Name: "unsigned", Manifest: manifest("x", "", ""), Want: "x | <none>"}})
}

func stub(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestPodCertificateRequests(t *testing.T) {
	key := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := func(der []byte) string { return base64.StdEncoding.EncodeToString(der) }
	good := text(stub(t, key(elliptic.P256())))
	manifest := "apiVersion: certificates.k8s.io/v1\nkind: PodCertificateRequest\nmetadata: {namespace: n, name: r}\nspec: {signerName: example.com/a, podName: p, podUID: pu, serviceAccountName: s, serviceAccountUID: su, nodeName: o, nodeUID: ou, stubPKCS10Request: " + good + ", maxExpirationSeconds: 3600}"
	broken := stub(t, key(elliptic.P256()))
	broken[len(broken)-1] ^= 1
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, manifest, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("by default a day", ", maxExpirationSeconds: 3600", "", ""),
		c("91 days", "3600", "7862400", ""),
		c("more", "3600", "7862401", "must be in the range [3600, 7862400]"),
		c("less than an hour", "3600", "3599", "must be in the range [3600, 7862400]"),
		c("a day of Kubernetes' own", "example.com/a", "kubernetes.io/a", ""),
		kindtest.Change("more of Kubernetes' own", strings.Replace(manifest, "example.com/a", "x.kubernetes.io/a", 1), "3600", "86401", "must be in the range [3600, 86400]"),
		c("signer", "example.com/a", "a", "spec.signerName: Invalid value"),
		c("pod", "podName: p", "podName: P", "spec.podName: Invalid value"),
		c("pod's UID", "podUID: pu", "podUID: ''", "spec.podUID: Invalid value"),
		c("a long UID", "podUID: pu", "podUID: "+strings.Repeat("x", 129), "spec.podUID: Too long"),
		c("account", "serviceAccountName: s", "serviceAccountName: ''", "spec.serviceAccountName: Invalid value"),
		c("account's UID", "serviceAccountUID: su, ", "", "spec.serviceAccountUID: Invalid value"),
		c("node", "nodeName: o", "nodeName: 'a b'", "spec.nodeName: Invalid value"),
		c("node's UID", "nodeUID: ou, ", "", "spec.nodeUID: Invalid value"),
		c("annotations", "spec: {", "spec: {unverifiedUserAnnotations: {a.b/c: d}, ", ""),
		c("annotations without a domain", "spec: {", "spec: {unverifiedUserAnnotations: {c: d}, ", "spec.unverifiedUserAnnotations: Invalid value"),
		c("no request", good, "''", "exactly one of (stubPKCS10Request)"),
		c("no request but text", good, "YQ==", "must be a valid PKCS#10 CSR"),
		c("a long one", good, text(make([]byte, maxStubRequest+1)), "spec.stubPKCS10Request: Too long"),
		c("P384", good, text(stub(t, key(elliptic.P384()))), ""),
		c("P224", good, text(stub(t, key(elliptic.P224()))), "elliptic public keys must use curve"),
		c("Ed25519", good, text(stub(t, edwards)), ""),
		c("RSA of 2048 bits", good, text(stub(t, small)), "RSA keys must have modulus size 3072 or 4096"),
		c("signature", good, text(broken), "spec.stubPKCS10Request: Invalid value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{c("fine", "", "", ""), c("another pod", "podName: p", "podName: q", "spec: Invalid value")})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{{Name: "pending", Manifest: manifest, Want: "r | p | s | o | example.com/a | Pending | <none>"}})
}

func TestPodCertificatesAreAsAskedFor(t *testing.T) {
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	seconds := int32(2 * 3600)
	old := &certificatesv1.PodCertificateRequest{Spec: certificatesv1.PodCertificateRequestSpec{StubPKCS10Request: stub(t, key), MaxExpirationSeconds: &seconds}}
	issued := func(to *ecdsa.PrivateKey, life time.Duration, names ...string) certificatesv1.PodCertificateRequestStatus {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: day, NotAfter: day.Add(life), DNSNames: names}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &to.PublicKey, to)
		if err != nil {
			t.Fatal(err)
		}
		return certificatesv1.PodCertificateRequestStatus{
			Conditions:       []metav1.Condition{{Type: "Issued", Status: metav1.ConditionTrue, Reason: "R", LastTransitionTime: metav1.NewTime(day)}},
			CertificateChain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
			NotBefore:        &metav1.Time{Time: day}, NotAfter: &metav1.Time{Time: day.Add(life)}, BeginRefreshAt: &metav1.Time{Time: day.Add(life / 2)},
		}
	}
	fine := issued(key, time.Hour, "a.b")
	with := func(change func(*certificatesv1.PodCertificateRequestStatus)) certificatesv1.PodCertificateRequestStatus {
		s := *fine.DeepCopy()
		change(&s)
		return s
	}
	outcome := func(t string, s metav1.ConditionStatus) certificatesv1.PodCertificateRequestStatus {
		return certificatesv1.PodCertificateRequestStatus{Conditions: []metav1.Condition{{Type: t, Status: s, Reason: "R", LastTransitionTime: metav1.NewTime(day)}}}
	}
	minutes := func(n int) *metav1.Time { return &metav1.Time{Time: day.Add(time.Duration(n) * time.Minute)} }
	type status = certificatesv1.PodCertificateRequestStatus
	for name, tt := range map[string]struct {
		now, was status
		want     string
	}{
		"nothing":          {},
		"issued":           {now: fine},
		"denied":           {now: outcome("Denied", "True")},
		"failed":           {now: outcome("Failed", "True")},
		"issued not":       {now: outcome("Issued", "False"), want: "status.conditions[0].status: Unsupported value"},
		"another":          {now: outcome("Odd", "True"), want: "status.conditions[0].type: Unsupported value"},
		"no reason":        {now: with(func(s *status) { s.Conditions[0].Reason = "" }), want: "reason: Required value"},
		"issued, denied":   {now: with(func(s *status) { s.Conditions = append(s.Conditions, outcome("Denied", "True").Conditions[0]) }), want: "at most one condition"},
		"after the end":    {now: outcome("Denied", "True"), was: fine, want: "immutable after PodCertificateRequest is issued"},
		"as it was":        {now: fine, was: fine},
		"denied with more": {now: with(func(s *status) { s.Conditions[0].Type = "Denied" }), want: "non-condition status fields must be empty"},
		"no outcome":       {now: with(func(s *status) { s.Conditions = nil }), want: "status is immutable unless transitioning"},
		"no chain":         {now: outcome("Issued", "True"), want: "must contain at least one certificate"},
		"a key":            {now: with(func(s *status) { s.CertificateChain = "-----BEGIN KEY-----\nYQ==\n-----END KEY-----\n" }), want: "consist entirely of CERTIFICATE PEM blocks"},
		"garbage":          {now: with(func(s *status) { s.CertificateChain = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n" }), want: "leaf certificate does not parse"},
		"garbage behind": {now: with(func(s *status) {
			s.CertificateChain += "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"
		}), want: "intermediate certificate does not parse"},
		"a chain":          {now: with(func(s *status) { s.CertificateChain += s.CertificateChain })},
		"too long":         {now: with(func(s *status) { s.CertificateChain += strings.Repeat("x", maxCertificates) }), want: "Too long"},
		"another key":      {now: issued(other, time.Hour), want: "not issued to the requested public key"},
		"a dot in front":   {now: issued(key, time.Hour, ".a"), want: "should not start or end with '.'"},
		"two dots":         {now: issued(key, time.Hour, "a..b"), want: "should not contain '..'"},
		"too short":        {now: issued(key, time.Hour-time.Second), want: "leaf certificate lifetime must be >= 1 hour"},
		"as long as asked": {now: issued(key, 2*time.Hour)},
		"longer":           {now: issued(key, 2*time.Hour+time.Second), want: "must be <= spec.maxExpirationSeconds (7200)"},
		"no beginning":     {now: with(func(s *status) { s.NotBefore = nil }), want: "status.notBefore: Required value"},
		"no end":           {now: with(func(s *status) { s.NotAfter = nil }), want: "status.notAfter: Required value"},
		"no refresh":       {now: with(func(s *status) { s.BeginRefreshAt = nil }), want: "status.beginRefreshAt: Required value"},
		"other beginning":  {now: with(func(s *status) { s.NotBefore = minutes(1) }), want: "must be set to the NotBefore time"},
		"other end":        {now: with(func(s *status) { s.NotAfter = minutes(59) }), want: "must be set to the NotAfter time"},
		"refresh in time":  {now: with(func(s *status) { s.BeginRefreshAt = minutes(10) })},
		"refresh early":    {now: with(func(s *status) { s.BeginRefreshAt = minutes(9) }), want: "at least 10 minutes after status.notBefore"},
		"refresh at last":  {now: with(func(s *status) { s.BeginRefreshAt = minutes(50) })},
		"refresh late":     {now: with(func(s *status) { s.BeginRefreshAt = minutes(51) }), want: "at least 10 minutes before status.notAfter"},
	} {
		was, now := old.DeepCopy(), old.DeepCopy()
		was.Status, now.Status = tt.was, tt.now
		got := ""
		if err := validatePCRStatus(now, was).ToAggregate(); err != nil {
			got = err.Error()
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
