// Package poststarthook makes the objects that every cluster has, when they are
// missing: the system namespaces, the ranges of cluster IPs, the kubernetes and DNS
// Services, the system priority classes, the StorageClass of the cluster's own volumes,
// and the ConfigMap that tells the cluster's identity. Whichever master is first makes them, once it serves. It may import
// runtime/config.
package poststarthook

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

// Names of objects that others look for.
const (
	ClusterConfigMap  = "gantry-cluster"
	DNSService        = "kube-dns"
	KubernetesService = "kubernetes"
	// dnsProxyName tells the proxy to leave the DNS Service alone: every node's dns
	// process holds its address itself.
	dnsProxyName = "gantry-dns"
)

// Namespaces makes the namespaces that every cluster has.
func Namespaces(ctx context.Context, c kubernetes.Interface) error {
	for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := ensure(ctx, name, ns, c.CoreV1().Namespaces()); err != nil {
			return err
		}
	}
	return nil
}

// ServiceRanges makes the ServiceCIDR of the cluster's own ranges.
func ServiceRanges(ctx context.Context, c kubernetes.Interface, cfg config.APIServerConfig) error {
	return serviceCIDR(ctx, c, cfg.ServiceCIDRs)
}

// Services makes the Services of the API, at kubernetesIP and the API's own port, and of
// the DNS.
func Services(ctx context.Context, c kubernetes.Interface, cfg config.APIServerConfig, kubernetesIP netip.Addr, port int32) error {
	for _, svc := range []*corev1.Service{kubernetesService(kubernetesIP, port), dnsService(cfg.ClusterDNS)} {
		if err := ensure(ctx, svc.Name, svc, c.CoreV1().Services(svc.Namespace)); err != nil {
			return err
		}
	}
	return nil
}

// PriorityClasses makes the two of the system.
func PriorityClasses(ctx context.Context, c kubernetes.Interface) error {
	for _, pc := range priorityClasses() {
		if err := ensure(ctx, pc.Name, pc, c.SchedulingV1().PriorityClasses()); err != nil {
			return err
		}
	}
	return nil
}

// Cluster makes the StorageClass of the cluster's own volumes and writes who the cluster
// is. It refuses to serve another cluster's data.
func Cluster(ctx context.Context, c kubernetes.Interface, cfg config.APIServerConfig) error {
	if err := localStorage(ctx, c, cfg.DisableLocalStorageClass); err != nil {
		return err
	}
	return identity(ctx, c, cfg)
}

// creator is the part of a typed client that is needed here.
type creator[T any] interface {
	Get(ctx context.Context, name string, o metav1.GetOptions) (T, error)
	Create(ctx context.Context, obj T, o metav1.CreateOptions) (T, error)
}

func ensure[T any](ctx context.Context, name string, obj T, c creator[T]) error {
	_, err := c.Get(ctx, name, metav1.GetOptions{})
	if errors.IsNotFound(err) {
		_, err = c.Create(ctx, obj, metav1.CreateOptions{})
	}
	if err != nil && !errors.IsAlreadyExists(err) {
		return fmt.Errorf("make %T %s: %w", obj, name, err)
	}
	return nil
}

// identity writes who the cluster is, and refuses to serve another cluster's data.
func identity(ctx context.Context, c kubernetes.Interface, cfg config.APIServerConfig) error {
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: ClusterConfigMap, Namespace: metav1.NamespaceSystem},
		Data:       map[string]string{"clusterID": cfg.ClusterID, "name": cfg.ClusterName},
	}
	maps := c.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	if err := ensure(ctx, cm.Name, cm, maps); err != nil {
		return err
	}
	have, err := maps.Get(ctx, cm.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the cluster's identity: %w", err)
	}
	if id := have.Data["clusterID"]; id != cfg.ClusterID {
		return fmt.Errorf("etcd holds cluster %s, and this server is configured for cluster %s: check etcd.endpoints", id, cfg.ClusterID)
	}
	return nil
}

func kubernetesService(ip netip.Addr, port int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name: KubernetesService, Namespace: metav1.NamespaceDefault,
			Labels: map[string]string{"component": "apiserver", "provider": "kubernetes"},
		},
		Spec: corev1.ServiceSpec{
			ClusterIP: ip.String(), ClusterIPs: []string{ip.String()}, Type: corev1.ServiceTypeClusterIP,
			Ports: []corev1.ServicePort{{Name: "https", Port: 443, TargetPort: intstr.FromInt32(port), Protocol: corev1.ProtocolTCP}},
		},
	}
}

func dnsService(ips addr.IPs) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name: DNSService, Namespace: metav1.NamespaceSystem,
			Labels: map[string]string{
				"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS",
				"service.kubernetes.io/service-proxy-name": dnsProxyName,
			},
		},
		Spec: corev1.ServiceSpec{
			ClusterIP: ips.First().String(), ClusterIPs: ips.Strings(), Type: corev1.ServiceTypeClusterIP,
			Ports: []corev1.ServicePort{
				{Name: "dns", Port: 53, TargetPort: intstr.FromInt32(53), Protocol: corev1.ProtocolUDP},
				{Name: "dns-tcp", Port: 53, TargetPort: intstr.FromInt32(53), Protocol: corev1.ProtocolTCP},
			},
		},
	}
}

func priorityClasses() []*schedulingv1.PriorityClass {
	class := func(name string, value int32, text string) *schedulingv1.PriorityClass {
		return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, Description: text}
	}
	return []*schedulingv1.PriorityClass{
		class("system-cluster-critical", 2000000000, "For pods without which the cluster does not work, wherever they run."),
		class("system-node-critical", 2000001000, "For pods without which their own node does not work."),
	}
}
