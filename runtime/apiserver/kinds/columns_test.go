package kinds

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

// Rows as kubectl get prints them, wide columns in parentheses.
func TestCells(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct{ name, manifest, want string }{
		{"node", `
apiVersion: v1
kind: Node
metadata: {name: m1, creationTimestamp: "2026-01-01T11:50:00Z", labels: {node-role.kubernetes.io/control-plane: "", kubernetes.io/role: edge}}
spec: {unschedulable: true}
status:
  conditions: [{type: Ready, status: "True"}]
  addresses: [{type: InternalIP, address: 10.0.0.1}]
  nodeInfo: {kubeletVersion: v1, osImage: Debian, kernelVersion: "6.1", containerRuntimeVersion: containerd://2.4.2}
`, "m1 | Ready,SchedulingDisabled | control-plane,edge | 10m | v1 | (10.0.0.1) | (<none>) | (Debian) | (6.1) | (containerd://2.4.2)"},
		{"node port", `
apiVersion: v1
kind: Service
metadata: {name: web, creationTimestamp: "2026-01-01T11:59:30Z"}
spec: {type: NodePort, clusterIP: 10.96.0.9, selector: {b: c, a: b}, ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 53, protocol: UDP}]}
`, "web | NodePort | 10.96.0.9 | <none> | 80:30080/TCP,53/UDP | 30s | (a=b,b=c)"},
		{"balancer that waits", `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, ports: [{port: 80}]}
`, "web | LoadBalancer | <none> | <pending> | 80/TCP | <unknown> | (<none>)"},
		{"deployment", sampleDeployment, "web | 0/2 | 0 | 0 | <unknown> | (web) | (nginx:1) | (app=web)"},
		{"cron job", sampleCronJob, "often | */5 8-18 * jan,jul mon-fri | <none> | False | 0 | <none> | <unknown> | (a) | (busybox) | (<none>)"},
		{"job", `
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {containers: [{name: a, image: b}]}}}
status: {succeeded: 1, startTime: "2026-01-01T11:00:00Z", completionTime: "2026-01-01T11:00:20Z", conditions: [{type: Complete, status: "True"}]}
`, "once | Complete | 1/1 | 20s | <unknown> | (a) | (b) | (<none>)"},
		{"autoscaler", `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {maxReplicas: 3, scaleTargetRef: {kind: Deployment, name: web}}
`, "web | Deployment/web | cpu: <unknown>/80% | 1 | 3 | 0 | <unknown>"},
		{"slice", `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}, {addresses: [10.0.0.3]}, {addresses: [10.0.0.4]}]
ports: [{port: 80}]
`, "web-1 | IPv4 | 80 | 10.0.0.1,10.0.0.2,10.0.0.3 + 1 more... | <unknown>"},
		{"event", `
apiVersion: v1
kind: Event
metadata: {name: web.1, namespace: default}
involvedObject: {kind: Pod, name: web, namespace: default}
reason: Killing
message: "Stopping container\n"
type: Normal
source: {component: kubelet, host: n1}
firstTimestamp: "2026-01-01T11:00:00Z"
lastTimestamp: "2026-01-01T11:59:00Z"
count: 3
`, "60s | Normal | Killing | pod/web | () | (kubelet, n1) | Stopping container | (60m) | (3) | (web.1)"},
		{"claim", `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {volumeName: v1, storageClassName: fast, accessModes: [ReadWriteOnce]}
status: {phase: Bound, capacity: {storage: 5Gi}, accessModes: [ReadOnlyMany, ReadWriteOnce]}
`, "data | Bound | v1 | 5Gi | RWO,ROX | fast | <unset> | <unknown> | (Filesystem)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, obj := rowOf(t, tt.manifest)
			var out []string
			for i, c := range k.Cells(obj, now) {
				text := fmt.Sprint(c)
				if k.Columns[i].Priority > 0 {
					text = "(" + text + ")"
				}
				out = append(out, text)
			}
			if got := strings.Join(out, " | "); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestJobSelectsItsOwnPods(t *testing.T) {
	k, obj := rowOf(t, sampleJob)
	k.PrepareForCreate(obj)
	j := obj.(*batchv1.Job)
	if got := printers.Selector(j.Spec.Selector); got != "batch.kubernetes.io/controller-uid=u-1" {
		t.Errorf("selector %s", got)
	}
	want := "batch.kubernetes.io/controller-uid=u-1,batch.kubernetes.io/job-name=once,controller-uid=u-1,job-name=once"
	if got := printers.Labels(j.Spec.Template.Labels); got != want {
		t.Errorf("labels %s", got)
	}
}

func TestNamespaceIsPrepared(t *testing.T) {
	k, obj := rowOf(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}")
	k.PrepareForCreate(obj)
	n := obj.(*corev1.Namespace)
	if n.Labels[corev1.LabelMetadataName] != "a" || len(n.Spec.Finalizers) != 1 || n.Status.Phase != corev1.NamespaceActive {
		t.Errorf("%+v", n)
	}
}

// A signer that reports on a request can neither approve it nor take back that
// it was denied, nor change who asked.
func TestSignerCannotApprove(t *testing.T) {
	k, old := rowOf(t, "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nspec: {request: YQ==, username: ann, signerName: a.b/c}\nstatus: {conditions: [{type: Denied, status: 'True'}]}")
	_, obj := rowOf(t, "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nspec: {request: YQ==, username: eve, signerName: a.b/c}\nstatus: {conditions: [{type: Approved, status: 'True'}]}")
	k.PrepareForStatusUpdate(obj, old)
	r := obj.(*certificatesv1.CertificateSigningRequest)
	if r.Spec.Username != "ann" || len(r.Status.Conditions) != 1 || r.Status.Conditions[0].Type != certificatesv1.CertificateDenied {
		t.Errorf("%+v", r)
	}
}

// What the server gave a service stays through an update that does not say it.
func TestServiceKeepsItsNodePort(t *testing.T) {
	manifest := "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: NodePort, clusterIP: 10.96.0.3, ports: [{port: 80, nodePort: 30001}]}"
	k, old := rowOf(t, manifest)
	_, obj := rowOf(t, strings.NewReplacer(", nodePort: 30001", "", "clusterIP: 10.96.0.3, ", "").Replace(manifest))
	k.PrepareForUpdate(obj, old)
	s := obj.(*corev1.Service).Spec
	if s.Ports[0].NodePort != 30001 || s.ClusterIP != "10.96.0.3" {
		t.Errorf("%+v", s)
	}
	_, obj = rowOf(t, strings.Replace(manifest, "NodePort", "ClusterIP", 1))
	k.PrepareForUpdate(obj, old)
	if s := obj.(*corev1.Service).Spec; s.Ports[0].NodePort != 0 || s.ExternalTrafficPolicy != "" {
		t.Errorf("%+v", s)
	}
}
