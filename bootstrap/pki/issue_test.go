package pki

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net"
	"reflect"
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func authority(t *testing.T) *Authority {
	t.Helper()
	a, err := NewAuthority("test", today)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *Authority, r Request, now time.Time) (Pair, *x509.Certificate) {
	t.Helper()
	p, err := a.Issue(r, now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := parse(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	return p, cert
}

func TestAnAuthority(t *testing.T) {
	a := authority(t)
	c := a.cert
	if !c.IsCA || !c.BasicConstraintsValid || c.KeyUsage&x509.KeyUsageCertSign == 0 || c.Subject.CommonName != "test" {
		t.Errorf("it is %+v", c)
	}
	if !c.NotBefore.Equal(today.Add(-skew)) || !c.NotAfter.Equal(today.Add(CALifetime)) {
		t.Errorf("it lasts from %s to %s", c.NotBefore, c.NotAfter)
	}
	other := authority(t)
	for what, tc := range map[string]struct {
		pair Pair
		err  bool
		sign bool
	}{
		"both":             {a.Pair, false, true},
		"without its key":  {Pair{Cert: a.Cert}, false, false},
		"an empty key":     {Pair{Cert: a.Cert, Key: []byte{}}, false, false},
		"another's key":    {Pair{Cert: a.Cert, Key: other.Key}, true, false},
		"a key that is no": {Pair{Cert: a.Cert, Key: []byte("key")}, true, false},
		"no certificate":   {Pair{Key: a.Key}, true, false},
	} {
		got, err := LoadAuthority(tc.pair)
		if (err != nil) != tc.err || err == nil && got.CanSign() != tc.sign {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestHowLongACertificateLasts(t *testing.T) {
	a := authority(t)
	begins := today.Add(-10 * time.Minute)
	for what, tc := range map[string]struct {
		now      time.Time
		lifetime time.Duration
		after    time.Time
		from, to time.Time
	}{
		"nothing is asked":                   {today, 0, time.Time{}, begins, today.Add(LeafLifetime)},
		"an hour":                            {today, time.Hour, time.Time{}, begins, today.Add(time.Hour)},
		"within a second":                    {today.Add(999 * time.Millisecond), time.Hour, time.Time{}, begins, today.Add(time.Hour)},
		"after a time long ago":              {today, time.Hour, begins.Add(-time.Second), begins, today.Add(time.Hour)},
		"after its own beginning":            {today, time.Hour, begins, begins.Add(time.Second), today.Add(time.Hour)},
		"after now":                          {today, time.Hour, today, today.Add(time.Second), today.Add(time.Hour)},
		"up to the authority's end":          {today.Add(CALifetime - time.Hour), time.Hour, time.Time{}, today.Add(CALifetime - time.Hour - skew), today.Add(CALifetime)},
		"not beyond the authority's end":     {today.Add(CALifetime - time.Hour), 2 * time.Hour, time.Time{}, today.Add(CALifetime - time.Hour - skew), today.Add(CALifetime)},
		"not beyond it, where none is asked": {today.Add(CALifetime - time.Hour), 0, time.Time{}, today.Add(CALifetime - time.Hour - skew), today.Add(CALifetime)},
	} {
		_, c := issue(t, a, Request{CommonName: "n", Lifetime: tc.lifetime, After: tc.after}, tc.now)
		if !c.NotBefore.Equal(tc.from) || !c.NotAfter.Equal(tc.to) {
			t.Errorf("%s: from %s to %s, want %s to %s", what, c.NotBefore, c.NotAfter, tc.from, tc.to)
		}
		if c.IsCA || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}) {
			t.Errorf("%s: it is good for %v, an authority: %v", what, c.ExtKeyUsage, c.IsCA)
		}
	}
}

func TestWhatFits(t *testing.T) {
	a := authority(t)
	request := func() Request {
		return Request{CommonName: "n", Organizations: []string{"o", "p"}, DNSNames: []string{"a", "b"}, IPs: []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("fd00::1")}}
	}
	p, c := issue(t, a, request(), today)
	for what, tc := range map[string]struct {
		change func(*Request)
		now    time.Time
		fits   bool
	}{
		"what was asked":         {func(*Request) {}, today, true},
		"in another order":       {func(r *Request) { slices.Reverse(r.Organizations); slices.Reverse(r.DNSNames); slices.Reverse(r.IPs) }, today, true},
		"said twice":             {func(r *Request) { r.DNSNames = []string{"a", "b", "a"}; r.Organizations = []string{"o", "p", "p"} }, today, true},
		"an IP in its other way": {func(r *Request) { r.IPs[0] = net.IP{192, 0, 2, 1} }, today, true},
		"the default, named":     {func(r *Request) { r.Lifetime = LeafLifetime }, today, true},
		"a shorter lifetime":     {func(r *Request) { r.Lifetime = LeafLifetime / 2 }, today, false},
		"a longer lifetime":      {func(r *Request) { r.Lifetime = 2 * LeafLifetime }, today, true},
		"a sixth of a longer":    {func(r *Request) { r.Lifetime = 2 * LeafLifetime }, c.NotAfter.Add(-LeafLifetime/3 + time.Second), false},
		"another name":           {func(r *Request) { r.CommonName = "m" }, today, false},
		"another organization":   {func(r *Request) { r.Organizations[0] = "q" }, today, false},
		"an organization less":   {func(r *Request) { r.Organizations = r.Organizations[:1] }, today, false},
		"an organization more":   {func(r *Request) { r.Organizations = append(r.Organizations, "q") }, today, false},
		"no organization":        {func(r *Request) { r.Organizations = nil }, today, false},
		"another DNS name":       {func(r *Request) { r.DNSNames[0] = "c" }, today, false},
		"a DNS name less":        {func(r *Request) { r.DNSNames = r.DNSNames[:1] }, today, false},
		"another IP":             {func(r *Request) { r.IPs[0] = net.IPv4(192, 0, 2, 2) }, today, false},
		"an IP more":             {func(r *Request) { r.IPs = append(r.IPs, net.IPv4(192, 0, 2, 2)) }, today, false},
		"a time before it":       {func(r *Request) { r.After = c.NotBefore.Add(-time.Second) }, today, true},
		"the time it begins":     {func(r *Request) { r.After = c.NotBefore }, today, false},
		"a time after it":        {func(r *Request) { r.After = c.NotBefore.Add(time.Second) }, today, false},
		"a minute before it":     {func(*Request) {}, c.NotBefore.Add(-time.Minute), true},
		"long before it":         {func(*Request) {}, c.NotBefore.Add(-time.Minute - time.Second), false},
		"where it must be late":  {func(r *Request) { r.After = c.NotBefore.Add(-time.Second) }, c.NotBefore.Add(-time.Hour), true},
		"just time enough":       {func(*Request) {}, c.NotAfter.Add(-LeafLifetime / 6), true},
		"too little time":        {func(*Request) {}, c.NotAfter.Add(-LeafLifetime/6 + time.Second), false},
		"after its end":          {func(*Request) {}, c.NotAfter.Add(time.Second), false},
	} {
		r := request()
		tc.change(&r)
		if err := a.Fits(p, r, tc.now); (err == nil) != tc.fits {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, pair := range map[string]Pair{
		"no key":            {Cert: p.Cert},
		"no certificate":    {Key: p.Key},
		"keys, not certs":   {Cert: p.Key, Key: p.Key},
		"behind a letter":   {Cert: slices.Concat([]byte("x"), p.Cert), Key: p.Key},
		"a trusted one is":  {Cert: pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: c.Raw}), Key: p.Key},
		"cut in the middle": {Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw[:len(c.Raw)/2]}), Key: p.Key},
	} {
		if err := a.Fits(pair, request(), today); err == nil {
			t.Errorf("%s: fits", what)
		}
	}
}

func TestWhatACertificateIsKnownBy(t *testing.T) {
	p, c := issue(t, authority(t), Request{CommonName: "n", Lifetime: time.Hour}, today)
	sum := sha256.Sum256(c.Raw)
	if got := Fingerprint(p.Cert); got != hex.EncodeToString(sum[:]) {
		t.Errorf("fingerprint %s", got)
	}
	if end, err := Expiry(p.Cert); err != nil || !end.Equal(today.Add(time.Hour)) {
		t.Errorf("it ends at %s: %v", end, err)
	}
	for what, none := range map[string][]byte{
		"nothing":      nil,
		"a key":        p.Key,
		"another kind": pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: c.Raw}),
		"half of it":   p.Cert[:len(p.Cert)/2],
	} {
		if got := Fingerprint(none); got != "" {
			t.Errorf("%s has the fingerprint %s", what, got)
		}
		if end, err := Expiry(none); err == nil || !end.IsZero() {
			t.Errorf("%s ends at %s", what, end)
		}
	}
}

func TestTheServiceAccountKeysAreOnePair(t *testing.T) {
	private, public, err := NewServiceAccountKey()
	if err != nil {
		t.Fatal(err)
	}
	der := func(data []byte, kind string) []byte {
		t.Helper()
		block, rest := pem.Decode(data)
		if block == nil || block.Type != kind || len(rest) > 0 {
			t.Fatalf("no %s in %s", kind, data)
		}
		return block.Bytes
	}
	key, err := x509.ParsePKCS8PrivateKey(der(private, "PRIVATE KEY"))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.ParsePKIXPublicKey(der(public, "PUBLIC KEY"))
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := key.(*rsa.PrivateKey); !ok || k.N.BitLen() != 2048 || !k.PublicKey.Equal(pub) {
		t.Errorf("got %T and %T", key, pub)
	}
}

func TestAKubeconfigHasAContextForEachMaster(t *testing.T) {
	p := Pair{Cert: []byte("cert"), Key: []byte("key")}
	data, err := Kubeconfig("demo", "u", "https://lb", map[string]string{"m1": "https://one", "m2": "https://two"}, []byte("ca"), p)
	if err != nil {
		t.Fatal(err)
	}
	c, err := clientcmd.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	servers := map[string]string{}
	for name, x := range c.Contexts {
		servers[name] = c.Clusters[x.Cluster].Server
		if x.AuthInfo != "u@demo" || string(c.Clusters[x.Cluster].CertificateAuthorityData) != "ca" {
			t.Errorf("%s: %+v", name, x)
		}
	}
	if want := map[string]string{"demo": "https://lb", "demo-m1": "https://one", "demo-m2": "https://two"}; !reflect.DeepEqual(servers, want) || c.CurrentContext != "demo" {
		t.Errorf("servers %v, at first %s", servers, c.CurrentContext)
	}
	if u := c.AuthInfos["u@demo"]; u == nil || string(u.ClientCertificateData) != "cert" || string(u.ClientKeyData) != "key" || len(c.AuthInfos) != 1 {
		t.Errorf("users %+v", c.AuthInfos)
	}
}
