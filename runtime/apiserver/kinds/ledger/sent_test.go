package ledger_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/ledger"
)

// samples are objects that are accepted, of the kinds that rules send.
const samples = `
- {apiVersion: v1, kind: Pod, metadata: {name: s}, spec: {containers: [{name: c, image: "i:1"}]}}
- {apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}]}}
- {apiVersion: v1, kind: PersistentVolume, metadata: {name: s}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /x}}}
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: s}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
- {apiVersion: batch/v1, kind: Job, metadata: {name: s}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: "i:1"}]}}}}
- {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: s}, spec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}}
- {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: s}, spec: {podSelector: {}}}
- {apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: s.example.com}, spec: {}}
- {apiVersion: storage.k8s.io/v1, kind: VolumeAttributesClass, metadata: {name: s}, driverName: example.com, parameters: {a: b}}
- {apiVersion: storage.k8s.io/v1, kind: CSIStorageCapacity, metadata: {name: s}, storageClassName: c}
- {apiVersion: storage.k8s.io/v1, kind: VolumeAttachment, metadata: {name: s}, spec: {attacher: example.com, nodeName: worker, source: {persistentVolumeName: v}}}
- {apiVersion: resource.k8s.io/v1, kind: DeviceClass, metadata: {name: s}, spec: {}}
- {apiVersion: resource.k8s.io/v1, kind: DeviceTaintRule, metadata: {name: s}, spec: {taint: {key: k, effect: NoSchedule}}}
- {apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: s}, spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c}}]}}}
- {apiVersion: resource.k8s.io/v1, kind: ResourceClaimTemplate, metadata: {name: s}, spec: {spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c}}]}}}}
- {apiVersion: resource.k8s.io/v1, kind: ResourceSlice, metadata: {name: s}, spec: {driver: d.example.com, allNodes: true, pool: {name: p, resourceSliceCount: 1}}}
`

// sender creates objects without storing them.
type sender struct {
	client  *rest.RESTClient
	heard   *heard
	paths   map[string]string
	objects map[string][]byte
}

// heard are the warnings of the last request.
type heard struct {
	mu   sync.Mutex
	text []string
}

func (h *heard) HandleWarningHeader(_ int, _, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = append(h.text, text)
}

func (h *heard) take() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := strings.Join(h.text, "\n")
	h.text = nil
	return text
}

func newSender(t *testing.T) sender {
	t.Helper()
	c := apitest.Start(t)
	ctx := t.Context()
	if _, err := c.Admin().CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "sent"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Admin().CoreV1().ServiceAccounts("sent").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s := sender{heard: &heard{}, paths: map[string]string{}, objects: map[string][]byte{}}
	cfg := c.Admin().JSON()
	cfg.WarningHandler, cfg.NegotiatedSerializer = s.heard, clientgoscheme.Codecs.WithoutConversion()
	var err error
	if s.client, err = rest.UnversionedRESTClientFor(cfg); err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := yaml.Unmarshal([]byte(samples), &list); err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		name := o["kind"].(string)
		if s.objects[name], err = json.Marshal(o); err != nil {
			t.Fatal(err)
		}
		for _, k := range kinds.Table() {
			if v := k.GVK.GroupVersion().String(); k.GVK.Kind == name && v == o["apiVersion"] {
				s.paths[name] = path(k)
			}
		}
		if s.paths[name] == "" {
			t.Fatalf("no kind %s is served", name)
		}
	}
	return s
}

func path(k kind.Kind) string {
	base := "/apis/" + k.GVK.Group
	if k.GVK.Group == "" {
		base = "/api"
	}
	base += "/" + k.GVK.Version
	if k.Namespaced {
		base += "/namespaces/sent"
	}
	return base + "/" + k.Resource
}

// send creates the changed sample in a dry run, and returns the object as it would be
// stored, the error and the warnings.
func (s sender) send(t *testing.T, sent ledger.Sent) (stored, warnings string, err error) {
	t.Helper()
	sample, ok := s.objects[sent.Kind]
	if !ok {
		t.Fatalf("there is no sample of %s", sent.Kind)
	}
	var object map[string]any
	var patch map[string]any
	for into, data := range map[*map[string]any][]byte{&object: sample, &patch: sent.Patch} {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	merge(object, patch)
	body, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	s.heard.take()
	got, err := s.client.Post().AbsPath(s.paths[sent.Kind]).Param("dryRun", "All").SetHeader("Content-Type", "application/json").Body(body).Do(t.Context()).Raw()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, got)
	}
	return string(got), s.heard.take(), err
}

// merge is a JSON merge patch that takes nothing away.
func merge(object, patch map[string]any) {
	for k, v := range patch {
		below, is := v.(map[string]any)
		into, has := object[k].(map[string]any)
		if is && has {
			merge(into, below)
			continue
		}
		object[k] = v
	}
}

// TestWhatIsSaidIsSeen sends what rules say is refused, warned of or dropped.
func TestWhatIsSaidIsSeen(t *testing.T) {
	l, err := ledger.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := newSender(t)
	for kind := range s.objects {
		if _, _, err := s.send(t, ledger.Sent{Kind: kind, Patch: []byte("{}")}); err != nil {
			t.Errorf("the sample of %s: %v", kind, err)
		}
	}
	refused := 0
	for _, e := range l.Entries() {
		for _, r := range e.Rules {
			if r.Send == nil {
				continue
			}
			object, warnings, err := s.send(t, *r.Send)
			switch r.Class() {
			case "refused":
				refused++
				if err == nil || !strings.Contains(err.Error(), r.Refused) {
					t.Errorf("%s %v: got %v, want %q", e.Type, r.Fields, err, r.Refused)
				}
			case "warned":
				if err != nil || !strings.Contains(warnings, r.Warned) {
					t.Errorf("%s %v: got %v, warned %q, want %q", e.Type, r.Fields, err, warnings, r.Warned)
				}
			case "dropped":
				if err != nil {
					t.Errorf("%s %v: %v", e.Type, r.Fields, err)
				}
				for _, f := range r.Fields {
					if !strings.Contains(string(r.Send.Patch), `"`+f+`"`) {
						t.Errorf("%s: %s is not sent", e.Type, f)
					}
					if strings.Contains(withoutManagedFields(t, object), `"`+f+`"`) {
						t.Errorf("%s: %s is not dropped: %s", e.Type, f, object)
					}
				}
			default:
				t.Errorf("%s %v: what is %s is not sent", e.Type, r.Fields, r.Class())
			}
		}
	}
	if refused < 20 {
		t.Errorf("%d refusals were seen", refused)
	}
}

func withoutManagedFields(t *testing.T, object string) string {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(object), &o); err != nil {
		t.Fatalf("%v: %s", err, object)
	}
	if m, ok := o["metadata"].(map[string]any); ok {
		delete(m, "managedFields")
	}
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
