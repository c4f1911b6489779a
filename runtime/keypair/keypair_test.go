package keypair

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

// selfSigned is a certificate of that serial number and its key, as PEM.
func selfSigned(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// replace puts the content in the file's place, as renewal does.
func replace(t *testing.T, file string, data ...[]byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", bytes.Join(data, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func serial(p *Pair) int64 { return p.Leaf().SerialNumber.Int64() }

func TestThePairIsTheOneInTheFiles(t *testing.T) {
	dir := t.TempDir()
	for name, files := range map[string]config.KeyPair{
		"in one file":   {CertFile: filepath.Join(dir, "one.pem"), KeyFile: filepath.Join(dir, "one.pem")},
		"in two files":  {CertFile: filepath.Join(dir, "two.crt"), KeyFile: filepath.Join(dir, "two.key")},
		"key file only": {CertFile: filepath.Join(dir, "odd.crt"), KeyFile: filepath.Join(dir, "odd.pem")},
	} {
		t.Run(name, func(t *testing.T) {
			put := func(cert, key []byte) {
				if files.CertFile == files.KeyFile {
					replace(t, files.CertFile, cert, key)
					return
				}
				replace(t, files.CertFile, cert)
				replace(t, files.KeyFile, key)
			}
			if _, err := Load(files); err == nil {
				t.Fatal("loaded what is not there")
			}
			put(selfSigned(t, 1))
			p, err := Load(files)
			if err != nil {
				t.Fatal(err)
			}
			first := p.Current()
			if serial(p) != 1 || p.Current() != first {
				t.Errorf("serial %d, and another one each time: %t", serial(p), p.Current() != first)
			}
			put(selfSigned(t, 2))
			if got, _ := p.GetCertificate(nil); serial(p) != 2 || got != p.Current() {
				t.Errorf("once replaced: serial %d", serial(p))
			}
			cert, _ := selfSigned(t, 3)
			_, other := selfSigned(t, 3)
			put(cert, other)
			if serial(p) != 2 {
				t.Errorf("a pair that does not belong together: serial %d", serial(p))
			}
			os.Remove(files.CertFile)
			if serial(p) != 2 {
				t.Errorf("without its file: serial %d", serial(p))
			}
			put(selfSigned(t, 4))
			if serial(p) != 4 {
				t.Errorf("once mended: serial %d", serial(p))
			}
		})
	}
}

func TestThePairIsNamedAsItsFile(t *testing.T) {
	if got := (&Pair{files: config.KeyPair{CertFile: "/etc/gantry/pki/etcd-peer.pem"}}).Name(); got != "etcd-peer" {
		t.Errorf("got %q", got)
	}
}

// A watch that is open goes on over its connection while requests have the new
// certificate.
func TestRequestsFollowTheFilesAndWatchesAreNotCut(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %t", http2), func(t *testing.T) {
			lines := make(chan string)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintln(w, r.TLS.PeerCertificates[0].SerialNumber, r.ProtoMajor)
				if r.URL.Path == "/watch" {
					for line := range lines {
						w.(http.Flusher).Flush()
						fmt.Fprintln(w, line)
					}
				}
			}))
			s.EnableHTTP2, s.TLS = http2, &tls.Config{ClientAuth: tls.RequireAnyClientCert}
			s.StartTLS()
			defer s.Close()
			roots := x509.NewCertPool()
			roots.AddCert(s.Certificate())

			file := filepath.Join(t.TempDir(), "client.pem")
			one, key := selfSigned(t, 1)
			replace(t, file, one, key)
			p, err := Load(config.KeyPair{CertFile: file, KeyFile: file})
			if err != nil {
				t.Fatal(err)
			}
			made := 0
			tr := NewTransport(p, func(c *tls.Certificate) *http.Transport {
				made++
				return &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", Certificates: []tls.Certificate{*c}}}
			})
			defer tr.CloseIdleConnections()
			get := func() string {
				t.Helper()
				resp, err := (&http.Client{Transport: tr}).Get(s.URL)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			proto := map[bool]int{false: 1, true: 2}[http2]
			watch := make(chan *http.Response, 1)
			go func() {
				resp, err := (&http.Client{Transport: tr}).Get(s.URL + "/watch")
				if err != nil {
					t.Error(err)
				}
				watch <- resp
			}()
			lines <- "before"
			resp := <-watch
			if resp == nil {
				t.FailNow()
			}
			defer resp.Body.Close()
			before := tr.WrappedRoundTripper()
			if got, want := get(), fmt.Sprintf("1 %d\n", proto); got != want || tr.WrappedRoundTripper() != before {
				t.Errorf("before: %q, want %q", got, want)
			}
			two, key := selfSigned(t, 2)
			replace(t, file, two, key)
			if got, want := get(), fmt.Sprintf("2 %d\n", proto); got != want || tr.WrappedRoundTripper() == before || made != 2 {
				t.Errorf("after: %q, want %q; %d transports", got, want, made)
			}
			lines <- "after"
			close(lines)
			r := bufio.NewReader(resp.Body)
			for _, want := range []string{fmt.Sprintf("1 %d\n", proto), "before\n", "after\n"} {
				if got, err := r.ReadString('\n'); err != nil || got != want {
					t.Errorf("the watch has %q %v, want %q", got, err, want)
				}
			}
		})
	}
}
