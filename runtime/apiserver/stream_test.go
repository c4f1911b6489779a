package apiserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	kubelet "k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/config"
)

// upper is a container whose command writes its input in capitals.
type upper struct{}

func (upper) ExecInContainer(_ context.Context, _, _, _ string, cmd []string, in io.Reader, out, _ io.WriteCloser, _ bool, _ <-chan kubelet.TerminalSize, _ time.Duration) error {
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: %s", strings.Join(cmd, " "), bytes.ToUpper(data))
	return err
}

// serveKubelet is a kubelet's logs and exec, for the API server's certificate only.
func serveKubelet(t *testing.T, c *apitest.Cluster) int {
	t.Helper()
	pair := c.Certificate(config.NodeUserPrefix+"w1", config.NodesGroup)
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	ok(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.CA())
	mux := http.NewServeMux()
	mux.HandleFunc("/containerLogs/{ns}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s/%s tail=%s by %s", r.PathValue("ns"), r.PathValue("container"), r.URL.Query().Get("tailLines"), r.TLS.PeerCertificates[0].Subject.CommonName)
	})
	mux.HandleFunc("/exec/{ns}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		opts := &kubelet.Options{Stdin: r.URL.Query().Get("input") == "1", Stdout: true, Stderr: r.URL.Query().Get("error") == "1"}
		kubelet.ServeExec(w, r, upper{}, r.PathValue("pod"), "", r.PathValue("container"), r.URL.Query()["command"], opts, time.Minute, 5*time.Second, []string{"v4.channel.k8s.io"})
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	srv := &http.Server{Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}}
	go srv.ServeTLS(ln, "", "") //nolint:errcheck // ends with the test
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().(*net.TCPAddr).Port
}

func streams(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "streams")
	node := must[*corev1.Node](t)(k.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "streams-node"}}, metav1.CreateOptions{}))
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(serveKubelet(t, c))
	must[*corev1.Node](t)(k.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}))
	must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(ctx, pod("p"), metav1.CreateOptions{}))
	ok(t, bind(t, k, ns, "p", "streams-node"))

	lines := int64(7)
	logs := must[[]byte](t)(k.CoreV1().Pods(ns).GetLogs("p", &corev1.PodLogOptions{TailLines: &lines}).DoRaw(ctx))
	if got, want := string(logs), "streams/c tail=7 by kube-apiserver-kubelet-client"; got != want {
		t.Errorf("logs: got %q, want %q", got, want)
	}

	url := k.CoreV1().RESTClient().Post().Namespace(ns).Resource("pods").Name("p").SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: []string{"tr", "a-z"}, Stdin: true, Stdout: true}, scheme.ParameterCodec).URL()
	// The executors dial by themselves, so they get the server's real address.
	url.Host = c.Address
	cfg := rest.CopyConfig(k.REST)
	cfg.Dial = nil
	spdy, err := remotecommand.NewSPDYExecutor(cfg, http.MethodPost, url)
	ok(t, err)
	websocket, err := remotecommand.NewWebSocketExecutor(cfg, http.MethodGet, url.String())
	ok(t, err)
	for name, e := range map[string]remotecommand.Executor{"SPDY": spdy, "WebSocket": websocket} {
		var out bytes.Buffer
		if err := e.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: strings.NewReader("hello"), Stdout: &out}); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if out.String() != "tr a-z: HELLO" {
			t.Errorf("%s: got %q", name, out.String())
		}
	}
	// Who may read everything may not run commands, which a WebSocket does by GET.
	must[*rbacv1.Role](t)(k.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Rules: []rbacv1.PolicyRule{{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"*"}}}}, metav1.CreateOptions{}))
	must[*rbacv1.RoleBinding](t)(k.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "reader"}}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"}}, metav1.CreateOptions{}))
	reader := c.Client("reader")
	eventually(t, "the reader reads", func() error {
		return reader.CoreV1().RESTClient().Get().Namespace(ns).Resource("pods").Name("p").SubResource("log").Do(ctx).Error()
	})
	for _, sub := range []string{"exec?command=true&stdout=true", "attach?stdout=true", "portforward"} {
		err := reader.CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces/" + ns + "/pods/p/").RequestURI("/api/v1/namespaces/" + ns + "/pods/p/" + sub).Do(ctx).Error()
		if !errors.IsForbidden(err) || !strings.Contains(err.Error(), "cannot create resource") {
			t.Errorf("%s by who may only read: %v", sub, err)
		}
	}
	// What is this server's own is not proxied to, whatever a node reports.
	err = k.CoreV1().RESTClient().Get().Resource("nodes").Name("streams-node").SubResource("proxy").Suffix("containerLogs/a/b/c").Do(ctx).Error()
	refused(t, "a proxy to loopback", errors.IsBadRequest, err)
}
