package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/internal/ports"
	"github.com/gantry-run/gantry/runtime/config"
)

// credentials writes a CA and one certificate that serves and dials on loopback.
func credentials(t *testing.T) (ca string, pair config.KeyPair) {
	t.Helper()
	dir := t.TempDir()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(t, err)
		return k
	}
	save := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	template := func(cn string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
			KeyUsage:    x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}
	}
	caKey, caTemplate := key(), template("ca")
	caTemplate.IsCA, caTemplate.KeyUsage = true, x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, caTemplate, caTemplate, caKey.Public(), caKey)
	check(t, err)
	leafKey := key()
	leafDER, err := x509.CreateCertificate(rand.Reader, template("member"), caTemplate, leafKey.Public(), caKey)
	check(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	check(t, err)
	return save("ca.crt", "CERTIFICATE", caDER), config.KeyPair{CertFile: save("m.crt", "CERTIFICATE", leafDER), KeyFile: save("m.key", "PRIVATE KEY", keyDER)}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// member is one etcd of a test, and its way to be stopped.
type member struct {
	cfg    config.EtcdConfig
	server *Server // as it was started last
	stop   func()
}

func (m *member) url() string { return fmt.Sprintf("https://127.0.0.1:%d", m.cfg.ClientPort) }

func (m *member) start(t *testing.T) {
	t.Helper()
	s, err := New(m.cfg, slog.New(slog.DiscardHandler))
	check(t, err)
	m.server = s
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	m.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", m.cfg.Name, err)
		}
		m.stop = func() {}
	}
	t.Cleanup(func() { m.stop() })
	patience.Eventually(t, m.cfg.Name+" is ready", s.Ready)
}

// dial returns a client of the member.
func (m *member) dial(t *testing.T) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{m.url()}, TLS: m.tls(t), DialTimeout: patience.Limit, Logger: zap.NewNop()})
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func (m *member) tls(t *testing.T) *tls.Config {
	t.Helper()
	c, err := transport.TLSInfo{CertFile: m.cfg.Peer.CertFile, KeyFile: m.cfg.Peer.KeyFile, TrustedCAFile: m.cfg.CAFile}.ClientConfig()
	check(t, err)
	return c
}

// threeMembers starts a member and has two more join it.
func threeMembers(t *testing.T) []*member {
	t.Helper()
	ca, pair := credentials(t)
	cluster := map[string]string{}
	var members []*member
	for i := range 3 {
		name := fmt.Sprintf("m%d", i+1)
		cluster[name] = fmt.Sprintf("https://127.0.0.1:%d", ports.Reserve(t))
		state := "existing"
		if i == 0 {
			state = "new"
		}
		members = append(members, &member{cfg: config.EtcdConfig{
			Name: name, DataDir: filepath.Join(t.TempDir(), "data"), Host: "127.0.0.1", ClientPort: ports.Reserve(t),
			InitialCluster: maps.Clone(cluster), InitialClusterState: state, InitialClusterToken: "test", CAFile: ca, Server: pair, Peer: pair,
		}})
	}
	members[0].start(t)
	first := members[0].dial(t)
	_, err := first.Put(t.Context(), "k", "v")
	check(t, err)
	for _, m := range members[1:] {
		var id uint64
		retry(t, "add "+m.cfg.Name, func(ctx context.Context) error {
			resp, err := first.MemberAddAsLearner(ctx, []string{m.cfg.InitialCluster[m.cfg.Name]})
			if err == nil {
				id = resp.Member.ID
			}
			return err
		})
		m.start(t)
		retry(t, "promote "+m.cfg.Name, func(ctx context.Context) error { _, err := first.MemberPromote(ctx, id); return err })
	}
	return members
}

func TestMembersJoinReplicateAndComeBack(t *testing.T) {
	members := threeMembers(t)
	if info, err := os.Stat(members[0].cfg.DataDir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v %v, want mode 0700", info.Mode(), err)
	}

	// Any one may stop, the leader too: the others go on, and it comes back with all.
	members[0].stop()
	second := members[1].dial(t)
	retry(t, "write without the first member", func(ctx context.Context) error { _, err := second.Put(ctx, "k2", "v2"); return err })
	members[0].start(t)
	retry(t, "read what was written before and meanwhile", func(ctx context.Context) error {
		for k, want := range map[string]string{"k": "v", "k2": "v2"} {
			resp, err := members[0].dial(t).Get(ctx, k)
			if err != nil {
				return err
			}
			if len(resp.Kvs) != 1 || string(resp.Kvs[0].Value) != want {
				return fmt.Errorf("%s: got %v", k, resp.Kvs)
			}
		}
		return nil
	})

	// Nobody without a certificate gets in.
	bare := members[0].tls(t)
	bare.Certificates, bare.GetClientCertificate = nil, nil
	conn, err := tls.Dial("tcp", strings.TrimPrefix(members[0].url(), "https://"), bare)
	if err == nil { // its end of the handshake is over before the server's
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("a client without a certificate is told %v", err)
	}
}

// TestAMemberEndsSoon: with silent peers etcd's own close lasts until it was stopped hard.
func TestAMemberEndsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, hard := time.Now(), make(chan struct{})
		closeSoon(func() { <-hard }, func() { close(hard) })
		if took := time.Since(begin); took != closeWithin {
			t.Errorf("with silent peers it takes %s", took)
		}
		closeSoon(func() { time.Sleep(closeWithin / 2) }, func() { t.Error("one that closes in time is stopped hard") })
		time.Sleep(closeWithin)
	})
}

func retry(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	patience.Eventually(t, what, func() error {
		// What is asked while nobody leads is not answered later either.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return f(ctx)
	})
}

func TestNewRefusesAPeerURLThatIsNone(t *testing.T) {
	_, err := New(config.EtcdConfig{Name: "m1", InitialCluster: map[string]string{"m1": "here"}}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "peer URL") {
		t.Errorf("got %v", err)
	}
}
