package revoked

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

func TestCertificatesOfRevokedNodesAreRefused(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	cert := func(commonName string, begins time.Time, names ...string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: commonName}, NotBefore: begins, DNSNames: append([]string{"localhost"}, names...)}
	}
	n := New(&cache.ListWatch{}, slog.New(slog.DiscardHandler))
	kubelet, proxy, admin := cert("system:node:w1", at.Add(-time.Hour), "w1"), cert("system:kube-proxy", at.Add(-time.Hour), "w1"), cert("admin", at.Add(-time.Hour))
	if err := n.Refusal(kubelet); !errors.Is(err, ErrNotYet) {
		t.Errorf("before anything is known, a node is told %v", err)
	}
	if err := n.Refusal(admin); err != nil {
		t.Errorf("before anything is known, an administrator is told %v", err)
	}
	n.take(&corev1.ConfigMap{Data: map[string]string{"w1": at.Format(time.RFC3339), "w3": "yesterday", "localhost": at.Format(time.RFC3339)}})
	for name, tc := range map[string]struct {
		cert *x509.Certificate
		node string
	}{
		"its kubelet":                         {kubelet, "w1"},
		"its proxy":                           {proxy, "w1"},
		"of the very second":                  {cert("system:node:w1", at, "w1"), "w1"},
		"its new kubelet":                     {cert("system:node:w1", at.Add(time.Second), "w1"), ""},
		"its new proxy":                       {cert("system:kube-proxy", at.Add(time.Second), "w1"), ""},
		"another node":                        {cert("system:node:w2", at.Add(-time.Hour), "w2"), ""},
		"another node with its name in front": {cert("system:node:w10", at.Add(-time.Hour), "w10"), ""},
		"the proxy of another":                {cert("system:kube-proxy", at.Add(-time.Hour), "w2"), ""},
		"an administrator":                    {admin, ""},
		"an unreadable time":                  {cert("system:node:w3", at.Add(1000*time.Hour), "w3"), "w3"},
	} {
		var refused *Error
		if err := n.Refusal(tc.cert); errors.As(err, &refused) != (tc.node != "") || (refused != nil && refused.Node != tc.node) {
			t.Errorf("%s: %v, want a refusal of %q", name, err, tc.node)
		}
	}
	n.take(&corev1.ConfigMap{})
	if err := n.Refusal(kubelet); err != nil {
		t.Errorf("once its entry is gone: %v", err)
	}
}
