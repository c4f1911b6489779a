package kinds

// Table returns all rows. The two events rows are one kind in storage: the
// adapter decides how they share it.
func Table() []Kind {
	return []Kind{
		// core
		pod(), podTemplate(), replicationController(),
		namespace(), node(),
		service(), endpoints(),
		configMap(), secret(), serviceAccount(),
		persistentVolume(), persistentVolumeClaim(),
		limitRange(), resourceQuota(),
		coreEvent(),
		// events.k8s.io
		event(),
		// apps
		deployment(), replicaSet(), daemonSet(), statefulSet(), controllerRevision(),
		// batch
		job(), cronJob(),
		// autoscaling, policy
		horizontalPodAutoscaler(), podDisruptionBudget(),
		// networking.k8s.io, discovery.k8s.io
		networkPolicy(), ingress(), ingressClass(), endpointSlice(),
		// coordination.k8s.io, node.k8s.io, scheduling.k8s.io
		lease(), runtimeClass(), priorityClass(),
		// storage.k8s.io
		storageClass(), csiDriver(), csiNode(), volumeAttachment(),
		// rbac.authorization.k8s.io
		role(), roleBinding(), clusterRole(), clusterRoleBinding(),
		// certificates.k8s.io
		certificateSigningRequest(),
		// admissionregistration.k8s.io
		mutatingWebhookConfiguration(), validatingWebhookConfiguration(),
		validatingAdmissionPolicy(), validatingAdmissionPolicyBinding(),
		mutatingAdmissionPolicy(), mutatingAdmissionPolicyBinding(),
		// flowcontrol.apiserver.k8s.io
		flowSchema(), priorityLevelConfiguration(),
	}
}
