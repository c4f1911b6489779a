//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/gantry-run/gantry/lab"
)

// metricsAPI stands in for metrics-server: it says of each of some pods that it uses the same.
type metricsAPI struct {
	mu   sync.Mutex
	pods []string
	cpu  resource.Quantity
}

func (m *metricsAPI) say(cpu string, pods ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cpu, m.pods = resource.MustParse(cpu), pods
}

func (m *metricsAPI) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	gv := metricsv1beta1.SchemeGroupVersion.String()
	var answer any
	switch path := "/apis/" + gv; {
	case req.URL.Path == path:
		answer = metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv,
			APIResources: []metav1.APIResource{{Name: "pods", Kind: "PodMetrics", Namespaced: true, Verbs: metav1.Verbs{"get", "list"}}},
		}
	case req.URL.Path == path+"/namespaces/w/pods" && req.URL.Query().Get("labelSelector") == "app=scaled":
		answer = m.list()
	default:
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer) //nolint:errcheck // the client went
}

func (m *metricsAPI) list() metricsv1beta1.PodMetricsList {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := metricsv1beta1.PodMetricsList{TypeMeta: metav1.TypeMeta{Kind: "PodMetricsList", APIVersion: metricsv1beta1.SchemeGroupVersion.String()}}
	for _, name := range m.pods {
		list.Items = append(list.Items, metricsv1beta1.PodMetrics{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "w"}, Timestamp: metav1.Now(), Window: metav1.Duration{Duration: time.Second},
			Containers: []metricsv1beta1.ContainerMetrics{{Name: "c", Usage: corev1.ResourceList{corev1.ResourceCPU: m.cpu}}},
		})
	}
	return list
}

const metricsObjects = `
apiVersion: v1
kind: Service
metadata: {name: metrics, namespace: w}
spec: {ports: [{port: 443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics-1, namespace: w, labels: {kubernetes.io/service-name: metrics}}
addressType: IPv4
ports: [{port: PORT}]
endpoints: [{addresses: [ADDRESS]}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec: {group: metrics.k8s.io, version: v1beta1, service: {name: metrics, namespace: w}, insecureSkipTLSVerify: true, groupPriorityMinimum: 100, versionPriority: 100}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: scaled, namespace: w}
spec:
  selector: {matchLabels: {app: scaled}}
  template:
    metadata: {labels: {app: scaled}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: IMAGE, args: [sleep], resources: {requests: {cpu: 10m}}}]}
`

const autoscaler = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: scaled, namespace: w}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: scaled}
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}
`

// autoscale has a Deployment grow while its pods use more than they should, and shrink after.
func (w workloads) autoscale(ctx context.Context) error {
	api := &metricsAPI{}
	ln, err := net.Listen("tcp", net.JoinHostPort(lab.Gateway(w.Lab).String(), "0"))
	if err != nil {
		return err
	}
	server := &httptest.Server{Listener: ln, Config: &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second}}
	server.StartTLS()
	defer server.Close()
	host, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return err
	}
	if err := w.apply(ctx, strings.NewReplacer("ADDRESS", host, "PORT", port).Replace(metricsObjects)); err != nil {
		return err
	}
	if err := w.run(ctx, "wait --for=condition=Available apiservice/v1beta1.metrics.k8s.io --timeout=120s", "rollout status deployment/scaled --timeout=120s"); err != nil {
		return err
	}
	pods, err := w.kubectl(ctx, "get", "pods", "-l", "app=scaled", "-o", "jsonpath={.items[*].metadata.name}")
	if err != nil {
		return err
	}
	api.say("30m", strings.Fields(pods)...)
	if err := w.apply(ctx, autoscaler); err != nil {
		return err
	}
	if err := w.run(ctx, "wait --for=jsonpath={.spec.replicas}=3 deployment/scaled --timeout=180s", "rollout status deployment/scaled --timeout=120s"); err != nil {
		return err
	}
	if pods, err = w.kubectl(ctx, "get", "pods", "-l", "app=scaled", "-o", "jsonpath={.items[*].metadata.name}"); err != nil {
		return err
	}
	api.say("1m", strings.Fields(pods)...)
	if err := w.run(ctx, "wait --for=jsonpath={.spec.replicas}=1 deployment/scaled --timeout=180s"); err != nil {
		return err
	}
	err = soon(func(ctx context.Context) error {
		events, err := w.kubectl(ctx, "get", "events", "--field-selector", "involvedObject.kind=HorizontalPodAutoscaler,reason=SuccessfulRescale", "-o", "jsonpath={range .items[*]}{.message}{\"\\n\"}{end}")
		if err != nil {
			return err
		}
		for _, want := range []string{"New size: 3; reason: cpu resource utilization (percentage of request) above target", "New size: 1; reason: All metrics below target"} {
			if !strings.Contains(events, want) {
				return fmt.Errorf("no event says %q:\n%s", want, events)
			}
		}
		return nil
	})(ctx)
	if err != nil {
		return err
	}
	return w.run(ctx, "delete hpa/scaled deployment/scaled apiservice/v1beta1.metrics.k8s.io")
}
