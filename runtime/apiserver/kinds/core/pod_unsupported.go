package core

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	podutil "github.com/gantry-run/gantry/runtime/pod"
)

// unsupported refuses a field that Kubernetes has and this cluster does not.
func unsupported(path *field.Path, reason string) *field.Error {
	return field.Forbidden(path, "not supported by this cluster: "+reason)
}

// UnsupportedPodTemplate is what no node of the cluster does for a pod, in a template.
func UnsupportedPodTemplate(t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	return unsupportedPodSpec(&t.Spec, path.Child("spec"))
}

// unsupportedPodSpec is the same of a pod. A pod that ran without what it asks for would
// not be the pod that was asked for.
func unsupportedPodSpec(s *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range s.Volumes {
		errs = append(errs, unsupportedVolume(&s.Volumes[i].VolumeSource, path.Child("volumes").Index(i))...)
	}
	for i := range s.InitContainers {
		errs = append(errs, unsupportedContainer(&s.InitContainers[i], path.Child("initContainers").Index(i))...)
	}
	for i := range s.Containers {
		errs = append(errs, unsupportedContainer(&s.Containers[i], path.Child("containers").Index(i))...)
	}
	for i := range s.EphemeralContainers {
		c, p := &s.EphemeralContainers[i], path.Child("ephemeralContainers").Index(i)
		errs = append(errs, unsupportedContainer((*corev1.Container)(&c.EphemeralContainerCommon), p)...)
	}
	return errs
}

func unsupportedContainer(c *corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, p := range c.Ports {
		if _, err := netip.ParseAddr(p.HostIP); p.HostIP != "" && err != nil {
			errs = append(errs, unsupported(path.Child("ports").Index(i).Child("hostIP"), "a node listens on addresses only"))
		}
	}
	for i, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.FileKeyRef != nil {
			errs = append(errs, unsupported(path.Child("env").Index(i).Child("valueFrom", "fileKeyRef"), "variables are not read from files of volumes"))
		}
	}
	return errs
}

// unsupportedVolume refuses the sources that no node has a driver of.
func unsupportedVolume(s *corev1.VolumeSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if e := s.EmptyDir; e != nil && e.Medium != corev1.StorageMediumDefault && e.Medium != corev1.StorageMediumMemory {
		errs = append(errs, unsupported(path.Child("emptyDir", "medium"), "its nodes keep such volumes on disk or in memory"))
	}
	for _, source := range []struct {
		name string
		set  bool
	}{
		{"gcePersistentDisk", s.GCEPersistentDisk != nil}, {"awsElasticBlockStore", s.AWSElasticBlockStore != nil},
		{"gitRepo", s.GitRepo != nil}, {"nfs", s.NFS != nil}, {"iscsi", s.ISCSI != nil}, {"glusterfs", s.Glusterfs != nil},
		{"rbd", s.RBD != nil}, {"flexVolume", s.FlexVolume != nil}, {"cinder", s.Cinder != nil}, {"cephfs", s.CephFS != nil},
		{"flocker", s.Flocker != nil}, {"fc", s.FC != nil}, {"azureFile", s.AzureFile != nil}, {"vsphereVolume", s.VsphereVolume != nil},
		{"quobyte", s.Quobyte != nil}, {"azureDisk", s.AzureDisk != nil}, {"photonPersistentDisk", s.PhotonPersistentDisk != nil},
		{"portworxVolume", s.PortworxVolume != nil}, {"scaleIO", s.ScaleIO != nil}, {"storageos", s.StorageOS != nil},
	} {
		if source.set {
			errs = append(errs, unsupported(path.Child(source.name), "its nodes have no driver of such volumes"))
		}
	}
	return errs
}

// DropDisabled takes out of a pod template what upstream takes out, for the features are off
// by default.
func DropDisabled(t *corev1.PodTemplateSpec) { dropDisabled(&t.Spec, t.Annotations) }

func dropDisabled(s *corev1.PodSpec, annotations map[string]string) {
	// What init containers were before there was a field.
	for _, version := range []string{"beta", "alpha"} {
		delete(annotations, "pod."+version+".kubernetes.io/init-containers")
		delete(annotations, "pod."+version+".kubernetes.io/init-container-statuses")
	}
	s.SchedulingGroup = nil    // GenericWorkload
	s.EvictionResponders = nil // EvictionRequestAPI
	for i := range s.Volumes {
		dropDisabledOfVolume(&s.Volumes[i].VolumeSource)
	}
	for _, c := range podutil.Containers(s, podutil.AllContainers) {
		if c.Lifecycle != nil { // H2CContainerProbe
			for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
				if h != nil && h.HTTPGet != nil {
					h.HTTPGet.Protocol = nil
				}
			}
		}
		if c.Lifecycle != nil && c.Lifecycle.StopSignal != nil { // ContainerStopSignals
			c.Lifecycle.StopSignal = nil
			if *c.Lifecycle == (corev1.Lifecycle{}) {
				c.Lifecycle = nil
			}
		}
		for i := range c.VolumeMounts {
			c.VolumeMounts[i].BindMountOptions = nil // VolumeBindMountOptions
		}
		for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			if p == nil {
				continue
			}
			if p.HTTPGet != nil {
				p.HTTPGet.Protocol = nil // H2CContainerProbe
			}
			if p.GRPC != nil {
				p.GRPC.Mode = nil // GRPCContainerProbeTLS
			}
		}
	}
}

func dropDisabledOfVolume(s *corev1.VolumeSource) {
	if s.EmptyDir != nil {
		s.EmptyDir.Mode = nil // EmptyDirVolumeMode
	}
	// AtomicWriteVolumeUserFields, of the first of several sources: a volume has one.
	switch {
	case s.Secret != nil:
		s.Secret.DefaultUser = nil
		dropUsers(s.Secret.Items)
	case s.ConfigMap != nil:
		s.ConfigMap.DefaultUser = nil
		dropUsers(s.ConfigMap.Items)
	case s.DownwardAPI != nil:
		s.DownwardAPI.DefaultUser = nil
		dropDownwardUsers(s.DownwardAPI.Items)
	case s.Projected != nil:
		s.Projected.DefaultUser = nil
		for i := range s.Projected.Sources {
			dropUsersOfProjection(&s.Projected.Sources[i])
		}
	}
}

func dropUsersOfProjection(p *corev1.VolumeProjection) {
	switch {
	case p.Secret != nil:
		dropUsers(p.Secret.Items)
	case p.DownwardAPI != nil:
		dropDownwardUsers(p.DownwardAPI.Items)
	case p.ConfigMap != nil:
		dropUsers(p.ConfigMap.Items)
	case p.ServiceAccountToken != nil:
		p.ServiceAccountToken.User = nil
	case p.ClusterTrustBundle != nil:
		p.ClusterTrustBundle.User = nil
	case p.PodCertificate != nil:
		p.PodCertificate.User = nil
	}
}

func dropUsers(items []corev1.KeyToPath) {
	for i := range items {
		items[i].User = nil
	}
}

func dropDownwardUsers(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		items[i].User = nil
	}
}
