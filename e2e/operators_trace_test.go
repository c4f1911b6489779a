//go:build lab

package e2e

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
	"math/big"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/gantry-run/gantry/runtime/config"
)

// passing are the keys that come and go by themselves.
var passing = regexp.MustCompile(`^/registry/(events|leases|masterleases|peerserverleases)/`)

// trace is what applied objects may leave: keys of etcd, and what the API serves.
func (f *Flow) trace(ctx context.Context) ([]string, error) {
	keys, err := f.storedKeys(ctx)
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"api-resources", "--no-headers", "--cached=false"}, {"api-versions"}, {"get", "--raw", "/openapi/v3"}} {
		out, err := f.Cluster.Kubectl(ctx, args...)
		if err != nil {
			return nil, err
		}
		if args[0] == "get" { // the hashes differ where a definition came and went
			out = strings.Join(regexp.MustCompile(`"apis?[^"]*":`).FindAllString(out, -1), "\n")
		}
		for line := range strings.Lines(out) {
			keys = append(keys, args[0]+": "+strings.TrimSpace(line))
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// storedKeys lists the keys of the first master's etcd but for those that pass.
func (f *Flow) storedKeys(ctx context.Context) ([]string, error) {
	h, err := f.Lab.Host(f.Masters[0])
	if err != nil {
		return nil, err
	}
	read := func(path string) []byte {
		out, readErr := h.Run(ctx, "cat "+path)
		if err == nil {
			err = readErr
		}
		return out
	}
	pair, pairErr := tls.X509KeyPair(read(config.APIServerEtcdCert.CertFile()), read(config.APIServerEtcdCert.KeyFile()))
	ca := x509.NewCertPool()
	ca.AppendCertsFromPEM(read(config.EtcdCA.CertFile()))
	if err != nil {
		return nil, err
	}
	if pairErr != nil {
		return nil, pairErr
	}
	address := net.JoinHostPort(h.Address, fmt.Sprint(config.EtcdClientPort))
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + address}, TLS: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: ca}, Context: ctx,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return dialFrom(ctx, f.Lab, h.Name, address)
		})},
	})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	found, err := client.Get(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	var out []string
	for _, kv := range found.Kvs {
		if key := string(kv.Key); !passing.MatchString(key) {
			out = append(out, "etcd: "+key)
		}
	}
	return out, nil
}

// noTrace waits until all is as it was.
func (f *Flow) noTrace(ctx context.Context, before []string) error {
	return Eventually(ctx, time.Minute, func(ctx context.Context) error {
		after, err := f.trace(ctx)
		if err != nil {
			return err
		}
		left, gone := missing(after, before), missing(before, after)
		if len(left)+len(gone) > 0 {
			return fmt.Errorf("left are\n%s\nand gone are\n%s", strings.Join(left, "\n"), strings.Join(gone, "\n"))
		}
		return nil
	})
}

// missing are the members of a list that another does not have.
func missing(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// newIdentity makes a certificate for these names with its key, and the authority that it
// is itself, PEM.
func newIdentity(hosts []string) (identity string, authority []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "standin"}, DNSNames: hosts, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", nil, err
	}
	authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return string(authority) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), authority, nil
}
