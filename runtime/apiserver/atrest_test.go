package apiserver_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/internal/ports"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/config"
)

// stored reads what etcd holds under a key.
func stored(t *testing.T, c *apitest.Cluster, key string) []byte {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(c.Config.Etcd.CertFile, c.Config.Etcd.KeyFile)
	ok(t, err)
	ca, err := os.ReadFile(c.Config.Etcd.CAFile)
	ok(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	e, err := clientv3.New(clientv3.Config{Endpoints: c.Config.Etcd.Endpoints, TLS: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots}})
	ok(t, err)
	defer e.Close()
	resp, err := e.Get(t.Context(), key)
	ok(t, err)
	if len(resp.Kvs) != 1 {
		t.Fatalf("%d values of %s", len(resp.Kvs), key)
	}
	return resp.Kvs[0].Value
}

// encryption is a configuration with keys of one letter each, the first of which
// encrypts; "-" is identity.
func encryption(keys string) string {
	var b strings.Builder
	b.WriteString("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n")
	for _, k := range keys {
		if k == '-' {
			b.WriteString("  - identity: {}\n")
			continue
		}
		secret := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(k)}, 32))
		fmt.Fprintf(&b, "  - secretbox: {keys: [{name: %c, secret: %s}]}\n", k, secret)
	}
	return b.String()
}

func TestSecretsAreEncryptedInEtcd(t *testing.T) {
	// The first server, which goes on beside the others, reads what they write.
	file := filepath.Join(t.TempDir(), "encryption.yaml")
	ok(t, os.WriteFile(file, []byte(encryption("-ab")), 0o600))
	c := apitest.Start(t, func(cfg *config.APIServerConfig) { cfg.EncryptionConfigFile = file })
	secrets := c.Admin().CoreV1().Secrets("default")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: map[string][]byte{"password": []byte("open sesame")}}
	_, err := secrets.Create(t.Context(), secret, metav1.CreateOptions{})
	ok(t, err)
	const key, plainKey = "/registry/secrets/default/s", "/registry/configmaps/default/m"
	if raw := stored(t, c, key); !bytes.Contains(raw, []byte("open sesame")) {
		t.Fatalf("with identity first it is stored as %q", raw)
	}

	// Each server reads what the one before it wrote, and writes with its own first key.
	for _, step := range []struct{ keys, encryptedWith string }{{"a-", "a"}, {"ba", "b"}, {"b", "b"}, {"-b", ""}} {
		cfg := c.Config
		cfg.EncryptionConfigFile = filepath.Join(t.TempDir(), "encryption.yaml")
		ok(t, os.WriteFile(cfg.EncryptionConfigFile, []byte(encryption(step.keys)), 0o600))
		cfg.BindAddress = fmt.Sprintf("127.0.0.1:%d", ports.Reserve(t))
		second := *c
		second.Address = cfg.BindAddress
		stop := c.StartServer(cfg)
		secrets := second.Admin().CoreV1().Secrets("default")
		got, err := secrets.Get(t.Context(), "s", metav1.GetOptions{})
		ok(t, err)
		if string(got.Data["password"]) != "open sesame" {
			t.Errorf("keys %s: it reads %q", step.keys, got.Data)
		}
		// What is written back as it was is encrypted again.
		_, err = secrets.Update(t.Context(), got, metav1.UpdateOptions{})
		ok(t, err)
		raw := stored(t, c, key)
		switch {
		case step.encryptedWith == "":
			if !bytes.Contains(raw, []byte("open sesame")) {
				t.Errorf("keys %s: it is stored as %q", step.keys, raw)
			}
		case !bytes.HasPrefix(raw, []byte("k8s:enc:secretbox:v1:"+step.encryptedWith+":")) || bytes.Contains(raw, []byte("open sesame")):
			t.Errorf("keys %s: it is stored as %q", step.keys, raw)
		}
		if step.keys == "a-" {
			_, err = second.Admin().CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "m"}, Data: map[string]string{"k": "not secret"}}, metav1.CreateOptions{})
			ok(t, err)
			if raw := stored(t, c, plainKey); !bytes.Contains(raw, []byte("not secret")) {
				t.Errorf("a config map is stored as %q", raw)
			}
		}
		stop()
	}
}

func TestTheAuditLogTellsWhoDidWhat(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit", "audit.log")
	c := apitest.Start(t, func(cfg *config.APIServerConfig) { cfg.Audit.LogFile = file })
	ctx := t.Context()
	_, err := c.Admin().CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"password": "open sesame"}}, metav1.CreateOptions{})
	ok(t, err)
	if _, err := c.Client("eve").CoreV1().Secrets("default").Get(ctx, "s", metav1.GetOptions{}); err == nil {
		t.Error("eve reads it")
	}
	if _, err := withToken(c, "no.token.ofours").CoreV1().Secrets("default").Get(ctx, "s", metav1.GetOptions{}); err == nil {
		t.Error("a stranger reads it")
	}
	var log string
	eventually(t, "the events are logged", func() error {
		data, err := os.ReadFile(file)
		if log = string(data); err != nil || strings.Count(log, "/api/v1/namespaces/default/secrets") < 3 {
			return fmt.Errorf("%v: %d bytes", err, len(data))
		}
		return nil
	})
	for what, parts := range map[string][]string{
		"the creation": {`"verb":"create"`, `"username":"admin"`, `"resource":"secrets"`, `"code":201`},
		"eve":          {`"verb":"get"`, `"username":"eve"`, `"name":"s"`, `"code":403`, `"authorization.k8s.io/decision":"forbid"`},
		"the stranger": {`"verb":"get"`, `"name":"s"`, `"code":401`},
	} {
		found := false
		for line := range strings.Lines(log) {
			all := true
			for _, p := range parts {
				all = all && strings.Contains(line, p)
			}
			found = found || all
		}
		if !found {
			t.Errorf("%s is not told", what)
		}
	}
	if strings.Contains(log, "open sesame") {
		t.Error("it tells contents")
	}
}
