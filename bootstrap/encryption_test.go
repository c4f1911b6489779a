package bootstrap

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/encryption"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// keys is what a master's file says, such as "key-1 key-0" or "plain key-0".
func (w *world) keys(t *testing.T, master string) string {
	t.Helper()
	data := w.hosts[master].File(config.EncryptionConfigFile)
	if data == "" {
		return ""
	}
	c, err := encryption.Parse([]byte(data))
	if err != nil {
		t.Errorf("%s: %v", master, err)
	}
	var out []string
	if c.Plain {
		out = append(out, "plain")
	}
	for _, k := range c.Keys {
		out = append(out, k.Name)
	}
	return strings.Join(out, " ")
}

// watchKeys notes, at each start of an API server, what it and the others read.
func (w *world) watchKeys(t *testing.T, masters ...string) *[]string {
	t.Helper()
	var seen []string
	for _, name := range masters {
		m := w.hosts[name]
		before := m.OnStart
		m.OnStart = func(unit string) error {
			if unit == config.APIServer.Unit() {
				seen = append(seen, name)
			}
			return before(unit)
		}
	}
	return &seen
}

// secrets are in the API, and rewritten is told how often they were updated.
func (w *world) secrets(t *testing.T, names ...string) (rewritten func() int) {
	t.Helper()
	for _, name := range names {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
		if _, err := w.api.CoreV1().Secrets("default").Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return func() int {
		n := 0
		for _, a := range w.api.Actions() {
			if a.Matches("update", "secrets") {
				n++
			}
		}
		return n
	}
}

func TestANewClusterEncryptsWithOneKey(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2", "w1")
	c := w.createAll(t, "m1", "m2")
	w.join(t, c, w.pool("w1"))
	first := w.hosts["m1"].File(config.EncryptionConfigFile)
	if got := w.keys(t, "m1"); got != "key-0" || w.hosts["m2"].File(config.EncryptionConfigFile) != first {
		t.Errorf("m1 has %q, and m2 %q", got, w.keys(t, "m2"))
	}
	if w.hosts["w1"].File(config.EncryptionConfigFile) != "" {
		t.Error("a worker has the key")
	}
	if got := w.hosts["m1"].Starts(config.APIServer.Unit()); got != 1 {
		t.Errorf("the API server was started %d times", got)
	}
	// A master that joins is given it.
	w2 := newWorld(t, smallBundle(t), "m1", "m2")
	c2 := w2.create(t)
	r, err := w2.engine.UpdateCluster(t.Context(), w2.with(c2, "m1", "m2"), ClusterChange{Touch: []string{"m1", "m2"}})
	succeed(t, r, err)
	if a, b := w2.hosts["m1"].File(config.EncryptionConfigFile), w2.hosts["m2"].File(config.EncryptionConfigFile); a != b || a == "" || a == first {
		t.Error("the master that joined has another key, or all clusters have the same")
	}
}

func TestAnOlderClusterIsEncrypted(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2")
	c := w.createAll(t, "m1", "m2")
	rewritten := w.secrets(t, "a", "b", "c")
	for _, name := range []string{"m1", "m2"} {
		w.hosts[name].SetFile(config.EncryptionConfigFile, "")
	}
	for name, s := range w.engine.ObserveCluster(t.Context(), c).Hosts {
		if s.State != Drifted || !strings.Contains(s.Message, "Secrets are not encrypted") {
			t.Errorf("%s is %s: %s", name, s.State, s.Message)
		}
	}
	r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1", "m2"}})
	succeed(t, r, err)
	if got := w.keys(t, "m1") + ", " + w.keys(t, "m2"); got != "key-0, key-0" || rewritten() != 3 {
		t.Errorf("the masters have %s, and %d Secrets were rewritten", got, rewritten())
	}
	w.ready(t, w.engine.ObserveCluster(t.Context(), c))
}

// No API server writes with a key before all may read what it wrote, and none loses one
// before all Secrets were rewritten; a run that stops at any start is taken up.
func TestAKeyIsRotatedInStages(t *testing.T) {
	refused := errors.New("the API server does not start")
	for stop := range 8 {
		t.Run(fmt.Sprint("stopped at start ", stop), func(t *testing.T) {
			w := newWorld(t, smallBundle(t), "m1", "m2")
			c := w.createAll(t, "m1", "m2")
			rewritten := w.secrets(t, "a", "b")
			seen := w.watchKeys(t, "m1", "m2")
			starts := 0
			for _, name := range []string{"m1", "m2"} {
				m := w.hosts[name]
				before := m.OnStart
				m.OnStart = func(unit string) error {
					if unit != config.APIServer.Unit() {
						return before(unit)
					}
					if starts++; starts == stop {
						return refused
					}
					return before(unit)
				}
			}
			c.APIServer.EncryptionKeyRotation = 1
			for _, s := range w.engine.ObserveCluster(t.Context(), c).Hosts {
				if s.State != Drifted {
					t.Errorf("%s: %s", s.State, s.Message)
				}
			}
			r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1", "m2"}})
			stopped := stop > 0 && stop <= 6
			if err != nil || stopped != (len(r.Failed()) > 0) {
				t.Fatalf("%v %v", err, r.Failed())
			}
			if stopped {
				if strings.Contains(w.keys(t, "m1")+w.keys(t, "m2"), "plain") {
					t.Error("Secrets are written plain")
				}
				r, err = w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1", "m2"}})
				succeed(t, r, err)
			} else if got := strings.Join(*seen, " "); got != "m1 m2 m1 m2 m1 m2" {
				t.Errorf("API servers were started in order %s", got)
			}
			if got := w.keys(t, "m1") + ", " + w.keys(t, "m2"); got != "key-1, key-1" || rewritten() < 2 {
				t.Errorf("the masters have %s, and %d Secrets were rewritten", got, rewritten())
			}
			w.ready(t, w.engine.ObserveCluster(t.Context(), c))
		})
	}
}

// A master that cannot be reached could not read what the others would write.
func TestAKeyWritesOnlyOnceAllMastersReadIt(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2", "m3")
	c := w.createAll(t, "m1", "m2", "m3")
	rewritten := w.secrets(t, "a")
	lost := w.hosts["m3"]
	delete(w.hosts, "m3")
	c.APIServer.EncryptionKeyRotation = 1
	touch := ClusterChange{Touch: []string{"m1", "m2", "m3"}}
	r, err := w.engine.UpdateCluster(t.Context(), c, touch)
	if err != nil || len(r.Failed()) != 3 {
		t.Fatalf("%v %v", err, r.Failed())
	}
	if s := r.Hosts["m1"]; s.State != Pending || !strings.Contains(s.Message, "master m3 (192.0.2.3) has to be able to read") {
		t.Errorf("m1 is %s: %s", s.State, s.Message)
	}
	if got := w.keys(t, "m1"); got != "key-0 key-1" || rewritten() != 0 {
		t.Errorf("m1 has %s, and %d Secrets were rewritten", got, rewritten())
	}
	w.hosts["m3"] = lost
	r, err = w.engine.UpdateCluster(t.Context(), c, touch)
	succeed(t, r, err)
	for _, name := range []string{"m1", "m2", "m3"} {
		if got := w.keys(t, name); got != "key-1" {
			t.Errorf("%s has %s", name, got)
		}
	}
	if rewritten() != 1 {
		t.Errorf("%d Secrets were rewritten", rewritten())
	}
}

func TestSecretsThatCannotBeRewrittenKeepTheirKey(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	c := w.create(t)
	w.secrets(t, "a")
	refuses := true
	w.api.PrependReactor("update", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		if refuses {
			return true, nil, errors.New("a webhook refuses")
		}
		return false, nil, nil
	})
	c.APIServer.EncryptionKeyRotation = 1
	r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1"}})
	if s := r.Hosts["m1"]; err != nil || s.State != Pending || !strings.Contains(s.Message, "Secret default/a anew: a webhook refuses") {
		t.Errorf("m1 is %s: %s (%v)", s.State, s.Message, err)
	}
	if got := w.keys(t, "m1"); got != "key-1 key-0" {
		t.Errorf("it has %s", got)
	}
	refuses = false
	r, err = w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1"}})
	succeed(t, r, err)
	if got := w.keys(t, "m1"); got != "key-1" {
		t.Errorf("it has %s", got)
	}
}

// What an API server reads beside its configuration is a file on masters, and gone where
// it is not wanted.
func TestTheDocumentsOfAnAPIServer(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	c := w.create(t)
	server := w.hosts["m1"]
	update := func() {
		t.Helper()
		r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1"}})
		succeed(t, r, err)
		w.ready(t, w.engine.ObserveCluster(t.Context(), c))
	}
	if got := server.File(config.APIServer.ConfigFile()); !strings.Contains(got, "logFile: "+config.AuditLogFile) {
		t.Errorf("a new cluster has no audit log:\n%s", got)
	}
	const authentication = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
	c.APIServer = spec.APIServer{
		Audit: spec.Audit{Policy: "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None}]\n", MaxBackups: 3}, Authentication: authentication,
		TokenWebhook:           spec.TokenWebhook{Kubeconfig: "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: \"https://r\"}}]\n", CacheTTL: time.Minute},
		DenyServiceExternalIPs: true, DisableLocalStorageClass: true, EventRateLimits: []spec.EventRateLimit{{Type: "Server", QPS: 7, Burst: 9}},
		PodSecurity: "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\ndefaults: {enforce: baseline}\n",
	}
	update()
	if server.File(config.AuditPolicyFile) != c.APIServer.Audit.Policy || server.File(config.AuthenticationConfigFile) != authentication {
		t.Errorf("the files are %q and %q", server.File(config.AuditPolicyFile), server.File(config.AuthenticationConfigFile))
	}
	if server.File(config.TokenWebhookConfigFile) != c.APIServer.TokenWebhook.Kubeconfig {
		t.Errorf("the way to the webhook is %q", server.File(config.TokenWebhookConfigFile))
	}
	if server.File(config.PodSecurityConfigFile) != c.APIServer.PodSecurity {
		t.Errorf("the configuration of PodSecurity is %q", server.File(config.PodSecurityConfigFile))
	}
	for _, want := range []string{"podSecurityConfigFile: " + config.PodSecurityConfigFile, "configFile: " + config.TokenWebhookConfigFile, "cacheTTL: 1m0s", "policyFile: " + config.AuditPolicyFile, "maxBackups: 3", "authenticationConfigFile: ", "DenyServiceExternalIPs", "disableLocalStorageClass: true", "EventRateLimit", "qps: 7"} {
		if got := server.File(config.APIServer.ConfigFile()); !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if got := restarted(server); !slices.Equal(got, []string{config.APIServer.Unit()}) {
		t.Errorf("restarted were %v", got)
	}
	c.APIServer.Authentication += "jwt: []\n"
	before := server.Starts(config.APIServer.Unit())
	if update(); server.Starts(config.APIServer.Unit()) != before+1 {
		t.Error("another content of a file has nobody read it")
	}
	imported, err := w.engine.Import(t.Context(), w.spec("m1")[0], "")
	if err != nil || fmt.Sprint(imported.Cluster.APIServer) != fmt.Sprint(c.APIServer) {
		t.Errorf("imported is %+v %v", imported.Cluster.APIServer, err)
	}
	c.APIServer = spec.APIServer{Audit: spec.Audit{Disabled: true}}
	update()
	if slices.Contains(server.Paths(), config.AuditPolicyFile) || slices.Contains(server.Paths(), config.AuthenticationConfigFile) || slices.Contains(server.Paths(), config.TokenWebhookConfigFile) || slices.Contains(server.Paths(), config.PodSecurityConfigFile) || strings.Contains(server.File(config.APIServer.ConfigFile()), "logFile") {
		t.Error("what is not wanted is there")
	}
	if imported, err = w.engine.Import(t.Context(), w.spec("m1")[0], ""); err != nil || fmt.Sprint(imported.Cluster.APIServer) != fmt.Sprint(c.APIServer) {
		t.Errorf("imported is %+v %v", imported.Cluster.APIServer, err)
	}
}
