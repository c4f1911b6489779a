package apitest

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
)

func table() []kinds.Kind {
	var out []kinds.Kind
	for _, r := range []struct {
		g, v, r, k string
		ns, st     bool
	}{
		{"", "v1", "pods", "Pod", true, true}, {"", "v1", "configmaps", "ConfigMap", true, false}, {"", "v1", "namespaces", "Namespace", false, true}, {"", "v1", "nodes", "Node", false, true}, {"", "v1", "services", "Service", true, true}, {"", "v1", "secrets", "Secret", true, false}, {"", "v1", "events", "Event", true, false}, {"apps", "v1", "deployments", "Deployment", true, true}, {"apps", "v1", "replicasets", "ReplicaSet", true, true},
		{"", "v1", "endpoints", "Endpoints", true, false}, {"", "v1", "limitranges", "LimitRange", true, false}, {"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true, true}, {"", "v1", "persistentvolumes", "PersistentVolume", false, true}, {"", "v1", "podtemplates", "PodTemplate", true, false}, {"", "v1", "replicationcontrollers", "ReplicationController", true, true}, {"", "v1", "resourcequotas", "ResourceQuota", true, true}, {"", "v1", "serviceaccounts", "ServiceAccount", true, false}, {"apps", "v1", "daemonsets", "DaemonSet", true, true}, {"apps", "v1", "statefulsets", "StatefulSet", true, true}, {"apps", "v1", "controllerrevisions", "ControllerRevision", true, false}, {"batch", "v1", "jobs", "Job", true, true}, {"batch", "v1", "cronjobs", "CronJob", true, true}, {"autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true, true}, {"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, true}, {"networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true, false}, {"networking.k8s.io", "v1", "ingresses", "Ingress", true, true}, {"networking.k8s.io", "v1", "ingressclasses", "IngressClass", false, false}, {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true, false}, {"coordination.k8s.io", "v1", "leases", "Lease", true, false}, {"node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", false, false}, {"scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false, false}, {"storage.k8s.io", "v1", "storageclasses", "StorageClass", false, false}, {"storage.k8s.io", "v1", "csidrivers", "CSIDriver", false, false}, {"storage.k8s.io", "v1", "csinodes", "CSINode", false, false}, {"storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", false, true}, {"rbac.authorization.k8s.io", "v1", "roles", "Role", true, false}, {"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true, false}, {"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false, false}, {"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false, false}, {"certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", false, true}, {"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", false, false}, {"admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", false, false}, {"admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", false, true}, {"admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", false, false}, {"admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", false, false}, {"admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", false, false}, {"flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema", false, true}, {"flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations", "PriorityLevelConfiguration", false, true},
	} {
		k := kinds.Kind{GVK: schema.GroupVersionKind{Group: r.g, Version: r.v, Kind: r.k}, Resource: r.r, Namespaced: r.ns, Status: r.st}
		if r.k == "Pod" {
			k.Fields = func(o runtime.Object) fields.Set {
				p := o.(*corev1.Pod)
				return fields.Set{"spec.nodeName": p.Spec.NodeName, "status.phase": string(p.Status.Phase)}
			}
			k.IndexField = "spec.nodeName"
			k.GracePeriod = func(o runtime.Object, wish *int64) (int64, bool) {
				p := o.(*corev1.Pod)
				if p.Spec.NodeName == "" {
					return 0, true
				}
				if wish != nil {
					return *wish, true
				}
				return 30, true
			}
		}
		switch r.k {
		case "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding":
			k.ValidateName = func(string, bool) []string { return nil }
		}
		out = append(out, k)
	}
	for i := range out {
		for _, k := range kinds.Table() {
			if k.GVK == out[i].GVK {
				out[i] = k
			}
		}
	}
	return out
}
