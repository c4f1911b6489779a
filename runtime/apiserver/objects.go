package apiserver

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/apiserver/registry"
)

// objects are the stores of the kinds that the server itself reads.
type objects struct {
	pods, nodes, services, configMaps, secrets, serviceAccounts, claims, volumes, priorityClasses *registry.Store

	csiDrivers, volumeAttachments, podCertificateRequests, resourceSlices *registry.Store

	roles, roleBindings, clusterRoles, clusterRoleBindings *registry.Store

	serviceCIDRs, ipAddresses *registry.Store

	// What admission plugins look up.
	namespaces, limitRanges, runtimeClasses, storageClasses, ingressClasses *registry.Store
}

func findObjects(st *registry.Stores) (*objects, error) {
	o := &objects{}
	for _, err := range []error{
		registry.Find[*corev1.Pod](st, &o.pods),
		registry.Find[*corev1.Node](st, &o.nodes),
		registry.Find[*corev1.Service](st, &o.services),
		registry.Find[*corev1.ConfigMap](st, &o.configMaps),
		registry.Find[*corev1.Secret](st, &o.secrets),
		registry.Find[*corev1.ServiceAccount](st, &o.serviceAccounts),
		registry.Find[*corev1.PersistentVolumeClaim](st, &o.claims),
		registry.Find[*corev1.PersistentVolume](st, &o.volumes),
		registry.Find[*storagev1.CSIDriver](st, &o.csiDrivers),
		registry.Find[*storagev1.VolumeAttachment](st, &o.volumeAttachments),
		registry.Find[*certificatesv1.PodCertificateRequest](st, &o.podCertificateRequests),
		registry.Find[*resourcev1.ResourceSlice](st, &o.resourceSlices),
		registry.Find[*schedulingv1.PriorityClass](st, &o.priorityClasses),
		registry.Find[*rbacv1.Role](st, &o.roles),
		registry.Find[*rbacv1.RoleBinding](st, &o.roleBindings),
		registry.Find[*rbacv1.ClusterRole](st, &o.clusterRoles),
		registry.Find[*rbacv1.ClusterRoleBinding](st, &o.clusterRoleBindings),
		registry.Find[*corev1.Namespace](st, &o.namespaces),
		registry.Find[*corev1.LimitRange](st, &o.limitRanges),
		registry.Find[*nodev1.RuntimeClass](st, &o.runtimeClasses),
		registry.Find[*storagev1.StorageClass](st, &o.storageClasses),
		registry.Find[*networkingv1.IngressClass](st, &o.ingressClasses),
		registry.Find[*networkingv1.ServiceCIDR](st, &o.serviceCIDRs),
		registry.Find[*networkingv1.IPAddress](st, &o.ipAddresses),
	} {
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

// readThrough reads from the cache, and from etcd what the cache does not have.
func readThrough[T runtime.Object](ctx context.Context, s *registry.Store, namespace, name string) (T, error) {
	obj, err := registry.Read[T](ctx, s, namespace, name, registry.Cached)
	if errors.IsNotFound(err) {
		return registry.Read[T](ctx, s, namespace, name, registry.Fresh)
	}
	return obj, err
}

// nodeObjects is the cluster as the node authorizer sees it.
type nodeObjects struct{ *objects }

func freshness(fresh bool) string {
	if fresh {
		return registry.Fresh
	}
	return registry.Cached
}

// Pods returns those bound to a node.
func (n nodeObjects) Pods(ctx context.Context, node string, fresh bool) ([]corev1.Pod, error) {
	list, err := registry.ListWhere[*corev1.PodList](ctx, n.pods, "", fields.Set{"spec.nodeName": node}, freshness(fresh))
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// Pod returns one.
func (n nodeObjects) Pod(ctx context.Context, namespace, name string, fresh bool) (*corev1.Pod, error) {
	return registry.Read[*corev1.Pod](ctx, n.pods, namespace, name, freshness(fresh))
}

// Claim returns a claim of a pod's volume.
func (n nodeObjects) Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	return registry.Read[*corev1.PersistentVolumeClaim](ctx, n.claims, namespace, name, registry.Cached)
}

// Volume returns a persistent volume.
func (n nodeObjects) Volume(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	return registry.Read[*corev1.PersistentVolume](ctx, n.volumes, "", name, registry.Cached)
}

// Attachment returns a volume's attachment to a node.
func (n nodeObjects) Attachment(ctx context.Context, name string) (*storagev1.VolumeAttachment, error) {
	return registry.Read[*storagev1.VolumeAttachment](ctx, n.volumeAttachments, "", name, registry.Cached)
}

// PodCertificateRequest returns one.
func (n nodeObjects) PodCertificateRequest(ctx context.Context, namespace, name string) (*certificatesv1.PodCertificateRequest, error) {
	return registry.Read[*certificatesv1.PodCertificateRequest](ctx, n.podCertificateRequests, namespace, name, registry.Cached)
}

// ResourceSlice returns one.
func (n nodeObjects) ResourceSlice(ctx context.Context, name string) (*resourcev1.ResourceSlice, error) {
	return registry.Read[*resourcev1.ResourceSlice](ctx, n.resourceSlices, "", name, registry.Cached)
}

// newest reads past the caches what nodes' writes are compared with.
type newest struct{ *objects }

// Pod returns one.
func (n newest) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return registry.Read[*corev1.Pod](ctx, n.pods, namespace, name, registry.Fresh)
}

// Node returns one.
func (n newest) Node(ctx context.Context, name string) (*corev1.Node, error) {
	return registry.Read[*corev1.Node](ctx, n.nodes, "", name, registry.Fresh)
}

// Account returns a service account.
func (n newest) Account(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	return registry.Read[*corev1.ServiceAccount](ctx, n.serviceAccounts, namespace, name, registry.Fresh)
}

// Claim returns a volume claim.
func (n newest) Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	return registry.Read[*corev1.PersistentVolumeClaim](ctx, n.claims, namespace, name, registry.Fresh)
}

// Volume returns a persistent volume.
func (n newest) Volume(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	return registry.Read[*corev1.PersistentVolume](ctx, n.volumes, "", name, registry.Fresh)
}

// Driver returns a CSI driver.
func (n newest) Driver(ctx context.Context, name string) (*storagev1.CSIDriver, error) {
	return registry.Read[*storagev1.CSIDriver](ctx, n.csiDrivers, "", name, registry.Fresh)
}
