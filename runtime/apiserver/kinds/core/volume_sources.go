package core

import (
	"maps"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// Names of targets of iSCSI, by what they begin with.
// https://datatracker.ietf.org/doc/html/rfc3720#section-3.2.6.3
const (
	iqnName = `iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$`
	euiName = `^eui\.[[:alnum:]]{16}$`
	naaName = `^naa\.[[:alnum:]]{32}$`
)

// persistentSources are the sources of a PersistentVolume in the order in which upstream
// looks at them. Volumes of most of them nobody mounts here: they are kept for whoever does,
// and held to what upstream holds them to.
func persistentSources(v *corev1.PersistentVolume, spec *field.Path) []source {
	s := &v.Spec.PersistentVolumeSource
	return []source{
		{"hostPath", s.HostPath != nil, func(p *field.Path) field.ErrorList { return validateHostPath(s.HostPath, p) }},
		{"gcePersistentDisk", s.GCEPersistentDisk != nil, func(*field.Path) field.ErrorList {
			p := spec.Child("persistentDisk") // upstream's spelling
			return append(required(p, "pdName", s.GCEPersistentDisk.PDName), partition(s.GCEPersistentDisk.Partition, p)...)
		}},
		{"awsElasticBlockStore", s.AWSElasticBlockStore != nil, func(p *field.Path) field.ErrorList {
			return append(required(p, "volumeID", s.AWSElasticBlockStore.VolumeID), partition(s.AWSElasticBlockStore.Partition, p)...)
		}},
		{"glusterfs", s.Glusterfs != nil, func(p *field.Path) field.ErrorList {
			errs := required(p, "endpoints", s.Glusterfs.EndpointsName, "path", s.Glusterfs.Path)
			if ns := s.Glusterfs.EndpointsNamespace; ns != nil {
				errs = append(errs, validate.InvalidIf(validation.IsDNS1123Label(*ns), p.Child("endpointsNamespace"), *ns)...)
			}
			return errs
		}},
		{"flocker", s.Flocker != nil, func(p *field.Path) field.ErrorList { return validateFlocker(s.Flocker, p) }},
		{"nfs", s.NFS != nil, func(p *field.Path) field.ErrorList {
			errs := required(p, "server", s.NFS.Server, "path", s.NFS.Path)
			if !path.IsAbs(s.NFS.Path) {
				errs = append(errs, field.Invalid(p.Child("path"), s.NFS.Path, "must be an absolute path"))
			}
			return errs
		}},
		{"rbd", s.RBD != nil, func(p *field.Path) field.ErrorList {
			return required(p, "monitors", s.RBD.CephMonitors, "image", s.RBD.RBDImage)
		}},
		{"quobyte", s.Quobyte != nil, func(p *field.Path) field.ErrorList { return validateQuobyte(s.Quobyte, p) }},
		{"cephFS", s.CephFS != nil, func(*field.Path) field.ErrorList {
			return required(spec.Child("cephfs"), "monitors", s.CephFS.Monitors)
		}},
		{"iscsi", s.ISCSI != nil, func(p *field.Path) field.ErrorList { return validateISCSI(s.ISCSI, v.Name, p) }},
		{"cinder", s.Cinder != nil, func(p *field.Path) field.ErrorList {
			return append(required(p, "volumeID", s.Cinder.VolumeID), secretReference(s.Cinder.SecretRef, p.Child("secretRef"))...)
		}},
		{"fc", s.FC != nil, func(p *field.Path) field.ErrorList { return validateFibreChannel(s.FC, p) }},
		{"flexVolume", s.FlexVolume != nil, func(p *field.Path) field.ErrorList { return validateFlexVolume(s.FlexVolume, p) }},
		{"azureFile", s.AzureFile != nil, func(p *field.Path) field.ErrorList {
			errs := required(p, "secretName", s.AzureFile.SecretName, "shareName", s.AzureFile.ShareName)
			if ns := s.AzureFile.SecretNamespace; ns != nil {
				errs = append(errs, validate.Required(*ns, p.Child("secretNamespace"))...)
			}
			return errs
		}},
		{"vsphereVolume", s.VsphereVolume != nil, func(p *field.Path) field.ErrorList { return required(p, "volumePath", s.VsphereVolume.VolumePath) }},
		{"photonPersistentDisk", s.PhotonPersistentDisk != nil, func(p *field.Path) field.ErrorList { return required(p, "pdID", s.PhotonPersistentDisk.PdID) }},
		{"portworxVolume", s.PortworxVolume != nil, func(p *field.Path) field.ErrorList { return required(p, "volumeID", s.PortworxVolume.VolumeID) }},
		{"azureDisk", s.AzureDisk != nil, func(p *field.Path) field.ErrorList { return validateAzureDisk(s.AzureDisk, p) }},
		{"scaleIO", s.ScaleIO != nil, func(p *field.Path) field.ErrorList {
			return required(p, "gateway", s.ScaleIO.Gateway, "system", s.ScaleIO.System, "volumeName", s.ScaleIO.VolumeName)
		}},
		{"local", s.Local != nil, func(p *field.Path) field.ErrorList {
			var errs field.ErrorList
			if v.Spec.NodeAffinity == nil {
				errs = append(errs, field.Required(spec.Child("nodeAffinity"), "Local volume requires node affinity"))
			}
			return append(errs, append(required(p, "path", s.Local.Path), noBacksteps(s.Local.Path, p.Child("path"))...)...)
		}},
		{"storageos", s.StorageOS != nil, func(p *field.Path) field.ErrorList { return validateStorageOS(s.StorageOS, p) }},
		{"csi", s.CSI != nil, func(p *field.Path) field.ErrorList { return validateCSISource(s.CSI, p) }},
	}
}

// required checks pairs of a field's name and what it holds, which may not be empty.
func required(p *field.Path, pairs ...any) field.ErrorList {
	var errs field.ErrorList
	for i := 0; i < len(pairs); i += 2 {
		empty := false
		switch v := pairs[i+1].(type) {
		case string:
			empty = v == ""
		case []string:
			empty = len(v) == 0
		}
		if empty {
			errs = append(errs, field.Required(p.Child(pairs[i].(string)), ""))
		}
	}
	return errs
}

func partition(n int32, p *field.Path) field.ErrorList {
	if n >= 0 && n <= 255 {
		return nil
	}
	return field.ErrorList{field.Invalid(p.Child("partition"), n, validation.InclusiveRangeError(1, 255))}
}

func lun(n int32, p *field.Path) field.ErrorList {
	if n >= 0 && n <= 255 {
		return nil
	}
	return field.ErrorList{field.Invalid(p.Child("lun"), n, validation.InclusiveRangeError(0, 255))}
}

func secretReference(r *corev1.SecretReference, p *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	return required(p, "name", r.Name, "namespace", r.Namespace)
}

func validateFlocker(s *corev1.FlockerVolumeSource, p *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.DatasetName == "" && s.DatasetUUID == "" {
		errs = append(errs, field.Required(p, "one of datasetName and datasetUUID is required"))
	}
	if s.DatasetName != "" && s.DatasetUUID != "" {
		errs = append(errs, field.Invalid(p, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
	}
	if strings.Contains(s.DatasetName, "/") {
		errs = append(errs, field.Invalid(p.Child("datasetName"), s.DatasetName, "must not contain '/'"))
	}
	return errs
}

func validateQuobyte(s *corev1.QuobyteVolumeSource, p *field.Path) field.ErrorList {
	const pairs = "must be a host:port pair or multiple pairs separated by commas"
	errs := required(p, "volume", s.Volume)
	switch {
	case s.Registry == "":
		return append(errs, field.Required(p.Child("registry"), pairs))
	case len(s.Tenant) >= 65:
		return append(errs, field.Required(p.Child("tenant"), "must be a UUID and may not exceed a length of 64 characters"))
	}
	for pair := range strings.SplitSeq(s.Registry, ",") {
		if _, _, err := net.SplitHostPort(pair); err != nil {
			errs = append(errs, field.Invalid(p.Child("registry"), s.Registry, pairs))
		}
	}
	return errs
}

func validateISCSI(s *corev1.ISCSIPersistentVolumeSource, volume string, p *field.Path) field.ErrorList {
	errs := required(p, "targetPortal", s.TargetPortal, "iqn", s.IQN)
	if s.InitiatorName != nil && len(volume+":"+s.TargetPortal) > 64 {
		errs = append(errs, field.Invalid(p.Child("targetportal"), s.TargetPortal, "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."))
	}
	if s.IQN != "" && !iscsiName(s.IQN) {
		errs = append(errs, field.Invalid(p.Child("iqn"), s.IQN, "must be valid format"))
	}
	errs = append(errs, lun(s.Lun, p)...)
	if (s.DiscoveryCHAPAuth || s.SessionCHAPAuth) && s.SecretRef == nil {
		errs = append(errs, field.Required(p.Child("secretRef"), ""))
	}
	if s.SecretRef != nil {
		errs = append(errs, validate.Required(s.SecretRef.Name, p.Child("secretRef", "name"))...)
	}
	if n := s.InitiatorName; n != nil && !iscsiName(*n) {
		errs = append(errs, field.Invalid(p.Child("initiatorname"), *n, "must be valid format"))
	}
	return errs
}

func iscsiName(name string) bool {
	for prefix, form := range map[string]string{"iqn": iqnName, "eui": euiName, "naa": naaName} {
		if strings.HasPrefix(name, prefix) {
			return regexp.MustCompile(form).MatchString(name)
		}
	}
	return false
}

func validateFibreChannel(s *corev1.FCVolumeSource, p *field.Path) field.ErrorList {
	wwns := p.Child("targetWWNs")
	switch {
	case len(s.TargetWWNs)+len(s.WWIDs) == 0:
		return field.ErrorList{field.Required(wwns, "must specify either targetWWNs or wwids, but not both")}
	case len(s.TargetWWNs) == 0:
		return nil
	}
	var errs field.ErrorList
	if len(s.WWIDs) > 0 {
		errs = append(errs, field.Invalid(wwns, s.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously"))
	}
	if s.Lun == nil {
		return append(errs, field.Required(p.Child("lun"), "lun is required if targetWWNs is specified"))
	}
	return append(errs, lun(*s.Lun, p)...)
}

func validateFlexVolume(s *corev1.FlexPersistentVolumeSource, p *field.Path) field.ErrorList {
	errs := required(p, "driver", s.Driver)
	for _, k := range slices.Sorted(maps.Keys(s.Options)) {
		domain, _, _ := strings.Cut(k, "/")
		domain = "." + strings.ToLower(domain)
		if strings.HasSuffix(domain, ".kubernetes.io") || strings.HasSuffix(domain, ".k8s.io") {
			errs = append(errs, field.Invalid(p.Child("options").Key(k), k, "kubernetes.io and k8s.io namespaces are reserved"))
		}
	}
	return errs
}

func validateAzureDisk(s *corev1.AzureDiskVolumeSource, p *field.Path) field.ErrorList {
	errs := required(p, "diskName", s.DiskName, "diskURI", s.DataDiskURI)
	if s.CachingMode != nil {
		errs = append(errs, validate.Known(*s.CachingMode, p.Child("cachingMode"), corev1.AzureDataDiskCachingNone, corev1.AzureDataDiskCachingReadOnly, corev1.AzureDataDiskCachingReadWrite)...)
	}
	if s.Kind == nil {
		return errs
	}
	errs = append(errs, validate.Known(*s.Kind, p.Child("kind"), corev1.AzureDedicatedBlobDisk, corev1.AzureManagedDisk, corev1.AzureSharedBlobDisk)...)
	prefix, form := "https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
	if *s.Kind == corev1.AzureManagedDisk {
		prefix, form = "/subscriptions/", "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
	}
	if !strings.HasPrefix(s.DataDiskURI, prefix) {
		errs = append(errs, field.NotSupported(p.Child("diskURI"), s.DataDiskURI, []string{form}))
	}
	return errs
}

func validateStorageOS(s *corev1.StorageOSPersistentVolumeSource, p *field.Path) field.ErrorList {
	errs := validate.DNSLabel(s.VolumeName, p.Child("volumeName"))
	if s.VolumeNamespace != "" {
		errs = append(errs, validate.DNSLabel(s.VolumeNamespace, p.Child("volumeNamespace"))...)
	}
	if r := s.SecretRef; r != nil {
		errs = append(errs, required(p.Child("secretRef"), "name", r.Name, "namespace", r.Namespace)...)
	}
	return errs
}
