package core

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// validateVolumes checks a pod's volumes and returns them by name, for the
// mounts that refer to them.
func validateVolumes(vs []corev1.Volume, at *field.Path) (map[string]corev1.VolumeSource, field.ErrorList) {
	var errs field.ErrorList
	byName := make(map[string]corev1.VolumeSource, len(vs))
	for i := range vs {
		v, p := &vs[i], at.Index(i)
		found := validateVolumeSource(&v.VolumeSource, p)
		found = append(found, validate.DNSLabel(v.Name, p.Child("name"))...)
		if _, twice := byName[v.Name]; twice {
			found = append(found, field.Duplicate(p.Child("name"), v.Name))
		}
		if len(found) > 0 {
			errs = append(errs, found...)
			continue // what is wrong with it cannot be mounted
		}
		byName[v.Name] = v.VolumeSource
	}
	return byName, errs
}

func validateVolumeSource(s *corev1.VolumeSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	sources := 0
	// one counts a source that is set; its errors come with it.
	one := func(name string, set bool, check func() field.ErrorList) {
		if !set {
			return
		}
		if sources++; sources > 1 {
			errs = append(errs, field.Forbidden(at.Child(name), "may not specify more than 1 volume type"))
			return
		}
		errs = append(errs, check()...)
	}
	nothing := func() field.ErrorList { return nil }

	one("emptyDir", s.EmptyDir != nil, func() field.ErrorList {
		p := at.Child("emptyDir")
		var errs field.ErrorList
		if s.EmptyDir.SizeLimit != nil {
			if s.EmptyDir.SizeLimit.Sign() < 0 {
				errs = append(errs, field.Forbidden(p.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity"))
			}
		}
		if m := s.EmptyDir.Medium; !strings.HasPrefix(string(m), string(corev1.StorageMediumHugePagesPrefix)) {
			errs = append(errs, validate.OneOfOrEmpty(m, p.Child("medium"), corev1.StorageMediumMemory, corev1.StorageMediumHugePages)...)
		}
		return errs
	})
	one("hostPath", s.HostPath != nil, func() field.ErrorList {
		p := at.Child("hostPath")
		errs := validate.Required(s.HostPath.Path, p.Child("path"))
		errs = append(errs, noBacksteps(s.HostPath.Path, p.Child("path"))...)
		if s.HostPath.Type != nil {
			errs = append(errs, validate.OneOfOrEmpty(*s.HostPath.Type, p.Child("type"), corev1.HostPathDirectoryOrCreate, corev1.HostPathDirectory,
				corev1.HostPathFileOrCreate, corev1.HostPathFile, corev1.HostPathSocket, corev1.HostPathCharDev, corev1.HostPathBlockDev)...)
		}
		return errs
	})
	one("secret", s.Secret != nil, func() field.ErrorList {
		p := at.Child("secret")
		errs := validate.Required(s.Secret.SecretName, p.Child("secretName"))
		errs = append(errs, fileMode(s.Secret.DefaultMode, p.Child("defaultMode"))...)
		return append(errs, keyPaths(s.Secret.Items, p.Child("items"))...)
	})
	one("configMap", s.ConfigMap != nil, func() field.ErrorList {
		p := at.Child("configMap")
		errs := validate.Required(s.ConfigMap.Name, p.Child("name"))
		errs = append(errs, fileMode(s.ConfigMap.DefaultMode, p.Child("defaultMode"))...)
		return append(errs, keyPaths(s.ConfigMap.Items, p.Child("items"))...)
	})
	one("downwardAPI", s.DownwardAPI != nil, func() field.ErrorList {
		p := at.Child("downwardAPI")
		errs := fileMode(s.DownwardAPI.DefaultMode, p.Child("defaultMode"))
		return append(errs, downwardFiles(s.DownwardAPI.Items, p)...)
	})
	one("projected", s.Projected != nil, func() field.ErrorList { return validateProjected(s.Projected, at.Child("projected")) })
	one("persistentVolumeClaim", s.PersistentVolumeClaim != nil, func() field.ErrorList {
		return validate.Required(s.PersistentVolumeClaim.ClaimName, at.Child("persistentVolumeClaim", "claimName"))
	})
	one("nfs", s.NFS != nil, func() field.ErrorList {
		p := at.Child("nfs")
		errs := append(validate.Required(s.NFS.Server, p.Child("server")), validate.Required(s.NFS.Path, p.Child("path"))...)
		if !strings.HasPrefix(s.NFS.Path, "/") {
			errs = append(errs, field.Invalid(p.Child("path"), s.NFS.Path, "must be an absolute path"))
		}
		return errs
	})
	one("csi", s.CSI != nil, func() field.ErrorList {
		p := at.Child("csi")
		errs := validate.CSIDriverName(s.CSI.Driver, p.Child("driver"))
		if ref := s.CSI.NodePublishSecretRef; ref != nil {
			errs = append(errs, validate.DNSSubdomain(ref.Name, p.Child("nodePublishSecretRef", "name"))...)
		}
		return errs
	})
	one("ephemeral", s.Ephemeral != nil, func() field.ErrorList {
		p := at.Child("ephemeral", "volumeClaimTemplate")
		if s.Ephemeral.VolumeClaimTemplate == nil {
			return field.ErrorList{field.Required(p, "")}
		}
		return ValidateClaimSpec(&s.Ephemeral.VolumeClaimTemplate.Spec, p.Child("spec"))
	})
	one("image", s.Image != nil, func() field.ErrorList {
		return validate.OneOfOrEmpty(s.Image.PullPolicy, at.Child("image", "pullPolicy"), corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
	})
	// Sources of drivers that no node of ours has; the kubelet reports them as
	// not supported when the pod is to start.
	for _, foreign := range []struct {
		name string
		set  bool
	}{
		{"gcePersistentDisk", s.GCEPersistentDisk != nil}, {"awsElasticBlockStore", s.AWSElasticBlockStore != nil}, {"gitRepo", s.GitRepo != nil},
		{"iscsi", s.ISCSI != nil}, {"glusterfs", s.Glusterfs != nil}, {"rbd", s.RBD != nil}, {"flexVolume", s.FlexVolume != nil},
		{"cinder", s.Cinder != nil}, {"cephFS", s.CephFS != nil}, {"flocker", s.Flocker != nil}, {"fc", s.FC != nil}, {"azureFile", s.AzureFile != nil},
		{"vsphereVolume", s.VsphereVolume != nil}, {"quobyte", s.Quobyte != nil}, {"azureDisk", s.AzureDisk != nil},
		{"photonPersistentDisk", s.PhotonPersistentDisk != nil}, {"portworxVolume", s.PortworxVolume != nil}, {"scaleIO", s.ScaleIO != nil}, {"storageos", s.StorageOS != nil},
	} {
		one(foreign.name, foreign.set, nothing)
	}
	if sources == 0 {
		errs = append(errs, field.Required(at, "must specify a volume type"))
	}
	return errs
}

func fileMode(mode *int32, at *field.Path) field.ErrorList {
	if mode != nil && (*mode < 0 || *mode > 0o777) {
		return field.ErrorList{field.Invalid(at, *mode, "must be a number between 0 and 0777 (octal), both inclusive")}
	}
	return nil
}

// filePath checks the path of a file in a volume that is made of API objects.
func filePath(p string, at *field.Path) field.ErrorList {
	errs := validate.Required(p, at)
	errs = append(errs, relativePath(p, at)...)
	if strings.HasPrefix(p, "..") && !strings.HasPrefix(p, "../") {
		errs = append(errs, field.Invalid(at, p, "must not start with '..'"))
	}
	return errs
}

func keyPaths(items []corev1.KeyToPath, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, k := range items {
		p := at.Index(i)
		errs = append(errs, validate.Required(k.Key, p.Child("key"))...)
		errs = append(errs, filePath(k.Path, p.Child("path"))...)
		errs = append(errs, fileMode(k.Mode, p.Child("mode"))...)
	}
	return errs
}

// downwardFiles of a volume at p. Upstream leaves their indices out of the paths.
func downwardFiles(items []corev1.DownwardAPIVolumeFile, p *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range items {
		errs = append(errs, filePath(f.Path, p.Child("path"))...)
		errs = append(errs, fileMode(f.Mode, p.Child("mode"))...)
		switch {
		case f.FieldRef != nil && f.ResourceFieldRef != nil:
			errs = append(errs, field.Invalid(p, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
		case f.FieldRef != nil:
			errs = append(errs, validateFieldRef(f.FieldRef, volumeFields(), p.Child("fieldRef"))...)
		case f.ResourceFieldRef != nil:
			errs = append(errs, validateResourceRef(f.ResourceFieldRef, true, p.Child("resourceFieldRef"))...)
		default:
			errs = append(errs, field.Required(p, "one of fieldRef and resourceFieldRef is required"))
		}
	}
	return errs
}

func validateProjected(v *corev1.ProjectedVolumeSource, at *field.Path) field.ErrorList {
	errs := fileMode(v.DefaultMode, at.Child("defaultMode"))
	for i, s := range v.Sources {
		p := at.Child("sources").Index(i)
		n := 0
		if s.Secret != nil {
			n++
			errs = append(errs, validate.Required(s.Secret.Name, p.Child("secret", "name"))...)
			errs = append(errs, keyPaths(s.Secret.Items, p.Child("secret", "items"))...)
		}
		if s.ConfigMap != nil {
			n++
			errs = append(errs, validate.Required(s.ConfigMap.Name, p.Child("configMap", "name"))...)
			errs = append(errs, keyPaths(s.ConfigMap.Items, p.Child("configMap", "items"))...)
		}
		if s.DownwardAPI != nil {
			n++
			errs = append(errs, downwardFiles(s.DownwardAPI.Items, p.Child("downwardAPI"))...)
		}
		if t := s.ServiceAccountToken; t != nil {
			n++
			tp := p.Child("serviceAccountToken")
			if t.ExpirationSeconds != nil && (*t.ExpirationSeconds < 600 || *t.ExpirationSeconds > 1<<32) {
				errs = append(errs, field.Invalid(tp.Child("expirationSeconds"), *t.ExpirationSeconds, "may not specify a duration less than 10 minutes or larger than 2^32 seconds"))
			}
			errs = append(errs, filePath(t.Path, at.Child("path"))...)
		}
		if c := s.ClusterTrustBundle; c != nil {
			n++
			errs = append(errs, validateTrustBundle(c, p.Child("clusterTrustBundle"))...)
		}
		if c := s.PodCertificate; c != nil {
			n++
			errs = append(errs, validatePodCertificate(c, p.Child("podCertificate"))...)
		}
		if n > 1 { // none is none
			errs = append(errs, field.Forbidden(p, "may not specify more than 1 volume type per source"))
		}
	}
	return append(errs, samePaths(v, at)...)
}

// validateMounts checks where a container mounts the pod's volumes.
func validateMounts(c *corev1.Container, volumes map[string]corev1.VolumeSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	paths := sets.New[string]()
	all := at.Child("volumeMounts") // errors of some fields do not say of which mount, as upstream's
	for i, m := range c.VolumeMounts {
		p := all.Index(i)
		errs = append(errs, mountable(m.Name, volumes, p.Child("name"))...)
		errs = append(errs, validate.Required(m.MountPath, p.Child("mountPath"))...)
		if paths.Has(m.MountPath) {
			errs = append(errs, field.Invalid(p.Child("mountPath"), m.MountPath, "must be unique"))
		}
		paths.Insert(m.MountPath)
		if m.SubPath != "" && m.SubPathExpr != "" {
			errs = append(errs, field.Invalid(p.Child("subPathExpr"), m.SubPathExpr, "subPathExpr and subPath are mutually exclusive"))
		}
		errs = append(errs, relativePath(m.SubPath, all.Child("subPath"))...)
		errs = append(errs, relativePath(m.SubPathExpr, all.Child("subPathExpr"))...)
		if m.MountPropagation != nil {
			errs = append(errs, validate.Known(*m.MountPropagation, all.Child("mountPropagation"),
				corev1.MountPropagationBidirectional, corev1.MountPropagationHostToContainer, corev1.MountPropagationNone)...)
			privileged := c.SecurityContext != nil && ptr.Deref(c.SecurityContext.Privileged, false)
			if *m.MountPropagation == corev1.MountPropagationBidirectional && !privileged {
				errs = append(errs, field.Forbidden(all.Child("mountPropagation"), "Bidirectional mount propagation is available only to privileged containers"))
			}
		}
		if m.RecursiveReadOnly != nil {
			errs = append(errs, validateRecursion(&m, all.Child("recursiveReadOnly"))...)
		}
	}
	return append(errs, validateDevices(c, volumes, paths, at)...)
}

// validateDevices checks as what a container has volumes that are devices. A volume is
// either mounted or a device, and mounts are where no device is (paths).
func validateDevices(c *corev1.Container, volumes map[string]corev1.VolumeSource, paths sets.Set[string], at *field.Path) field.ErrorList {
	var errs field.ErrorList
	names, mounted := sets.New[string](), sets.New[string]()
	for _, m := range c.VolumeMounts {
		mounted.Insert(m.Name)
	}
	for i, d := range c.VolumeDevices {
		p := at.Child("volumeDevices").Index(i)
		errs = append(errs, mountable(d.Name, volumes, p.Child("name"))...)
		if names.Has(d.Name) {
			errs = append(errs, field.Invalid(p.Child("name"), d.Name, "must be unique"))
		}
		names.Insert(d.Name)
		if mounted.Has(d.Name) {
			errs = append(errs, field.Invalid(p.Child("name"), d.Name, "must not already exist in volumeMounts"))
		}
		if source, ok := volumes[d.Name]; ok && source.PersistentVolumeClaim == nil && source.Ephemeral == nil {
			errs = append(errs, field.Invalid(p.Child("name"), d.Name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"))
		}
		if !path.IsAbs(d.DevicePath) {
			errs = append(errs, field.Invalid(p.Child("devicePath"), d.DevicePath, "must be an absolute path"))
		}
		if slices.Contains(strings.Split(d.DevicePath, "/"), "..") {
			errs = append(errs, field.Invalid(p.Child("devicePath"), d.DevicePath, "can not contain backsteps ('..')"))
		}
		if paths.Has(d.DevicePath) {
			errs = append(errs, field.Invalid(p.Child("devicePath"), d.DevicePath, "must be unique"))
		}
		paths.Insert(d.DevicePath)
	}
	return errs
}

func validateRecursion(m *corev1.VolumeMount, path *field.Path) field.ErrorList {
	errs := validate.Known(*m.RecursiveReadOnly, path, corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyIfPossible)
	if len(errs) > 0 || *m.RecursiveReadOnly == corev1.RecursiveReadOnlyDisabled {
		return errs
	}
	if !m.ReadOnly {
		errs = append(errs, field.Forbidden(path, "may only be specified when readOnly is true"))
	}
	if ptr.Deref(m.MountPropagation, corev1.MountPropagationNone) != corev1.MountPropagationNone {
		errs = append(errs, field.Forbidden(path, "may only be specified when mountPropagation is None or not specified"))
	}
	return errs
}

func mountable(name string, volumes map[string]corev1.VolumeSource, at *field.Path) field.ErrorList {
	errs := validate.Required(name, at)
	if _, ok := volumes[name]; !ok {
		errs = append(errs, field.NotFound(at, name))
	}
	return errs
}
