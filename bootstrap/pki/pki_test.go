package pki

import (
	"errors"
	"net"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

func TestWhatIsIssuedFitsUntilSomethingChanges(t *testing.T) {
	now := time.Now()
	ca, err := NewAuthority("test", now)
	if err != nil {
		t.Fatal(err)
	}
	r := Request{CommonName: "n", Organizations: []string{"o"}, DNSNames: []string{"a", "b"}, IPs: []net.IP{net.IPv4(192, 0, 2, 1)}}
	p, err := ca.Issue(r, now)
	if err != nil {
		t.Fatal(err)
	}
	verify, err := LoadAuthority(Pair{Cert: ca.Cert})
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.Fits(p, r, now); err != nil {
		t.Error(err)
	}
	if _, err := verify.Issue(r, now); !errors.Is(err, ErrNoKey) {
		t.Errorf("signed without a key: %v", err)
	}
	other, _ := NewAuthority("test", now)
	stranger, _ := ca.Issue(r, now)
	for name, err := range map[string]error{
		"another name":      ca.Fits(p, Request{CommonName: "x", Organizations: r.Organizations, DNSNames: r.DNSNames, IPs: r.IPs}, now),
		"another address":   ca.Fits(p, Request{CommonName: "n", Organizations: r.Organizations, DNSNames: r.DNSNames}, now),
		"another authority": other.Fits(p, r, now),
		"another's key":     ca.Fits(Pair{Cert: p.Cert, Key: stranger.Key}, r, now),
		"its end is near":   ca.Fits(p, r, now.Add(LeafLifetime*5/6+time.Hour)),
		"a refused time":    ca.Fits(p, Request{CommonName: "n", Organizations: r.Organizations, DNSNames: r.DNSNames, IPs: r.IPs, After: Begins(now)}, now),
		"nothing":           ca.Fits(Pair{}, r, now),
	} {
		if err == nil {
			t.Errorf("%s: fits", name)
		}
	}
}

func TestACertificateBeginsAfterTheTimeThatIsAsked(t *testing.T) {
	now := time.Now()
	ca, err := NewAuthority("test", now)
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Time{{}, now.Add(-time.Hour), Begins(now), now.Truncate(time.Second)} {
		r := Request{CommonName: "n", After: after}
		p, err := ca.Issue(r, now)
		if err != nil {
			t.Fatal(err)
		}
		if err := ca.Fits(p, r, now); err != nil {
			t.Errorf("after %s: %v", after, err)
		}
	}
}

func TestTheKubeconfigCanBeLoaded(t *testing.T) {
	ca, err := NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := ca.Issue(Request{CommonName: "u", Lifetime: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := Kubeconfig("demo", "u", "https://192.0.2.1:6443", map[string]string{"m1": "https://192.0.2.1:6443"}, ca.Cert, p)
	if err != nil {
		t.Fatal(err)
	}
	c, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil || c.Host != "https://192.0.2.1:6443" || string(c.CertData) != string(p.Cert) {
		t.Errorf("%+v %v", c, err)
	}
}
