package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// validateVolumes checks a pod's volumes and returns them by name, for the
// mounts that refer to them. meta is the pod's, and nil of a template.
func validateVolumes(vs []corev1.Volume, meta *metav1.ObjectMeta, at *field.Path) (map[string]corev1.VolumeSource, field.ErrorList) {
	var errs field.ErrorList
	byName := make(map[string]corev1.VolumeSource, len(vs))
	made := sets.New[string]()
	for _, v := range vs {
		if meta != nil && meta.Name != "" && v.Ephemeral != nil {
			made.Insert(meta.Name + "-" + v.Name)
		}
	}
	for i := range vs {
		v, p := &vs[i], at.Index(i)
		found := validateVolumeSource(v, meta, p)
		found = append(found, validate.DNSLabel(v.Name, p.Child("name"))...)
		if _, twice := byName[v.Name]; twice {
			found = append(found, field.Duplicate(p.Child("name"), v.Name))
		}
		if len(found) == 0 {
			byName[v.Name] = v.VolumeSource // what is wrong with it cannot be mounted
		}
		errs = append(errs, found...)
		if c := v.PersistentVolumeClaim; c != nil && made.Has(c.ClaimName) {
			errs = append(errs, field.Invalid(p.Child("persistentVolumeClaim", "claimName"), c.ClaimName, "must not reference a PVC that gets created for an ephemeral volume"))
		}
	}
	return byName, errs
}

// source is one of the things that a volume may be; check is nil for those that no node of
// ours has a driver of, which are refused as a whole.
type source struct {
	name  string
	set   bool
	check func(at *field.Path) field.ErrorList
}

// validateVolumeSource: there is exactly one source. Those beyond the first are not looked at.
func validateVolumeSource(v *corev1.Volume, meta *metav1.ObjectMeta, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	found := false
	for _, s := range volumeSources(v, meta, at) {
		switch {
		case !s.set:
		case found:
			errs = append(errs, field.Forbidden(at.Child(s.name), "may not specify more than 1 volume type"))
		default:
			found = true
			if s.check != nil {
				errs = append(errs, s.check(at.Child(s.name))...)
			}
		}
	}
	if !found {
		errs = append(errs, field.Required(at, "must specify a volume type"))
	}
	return errs
}

// volumeSources are the sources in the order in which upstream looks at them, and by the
// names that it has for them.
func volumeSources(v *corev1.Volume, meta *metav1.ObjectMeta, volume *field.Path) []source {
	s := &v.VolumeSource
	return []source{
		{"emptyDir", s.EmptyDir != nil, func(p *field.Path) field.ErrorList {
			if s.EmptyDir.SizeLimit != nil && s.EmptyDir.SizeLimit.Sign() < 0 {
				return field.ErrorList{field.Forbidden(p.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity")}
			}
			return nil
		}},
		{"hostPath", s.HostPath != nil, func(p *field.Path) field.ErrorList { return validateHostPath(s.HostPath, p) }},
		{"gitRepo", s.GitRepo != nil, nil},
		{"gcePersistentDisk", s.GCEPersistentDisk != nil, nil},
		{"awsElasticBlockStore", s.AWSElasticBlockStore != nil, nil},
		{"secret", s.Secret != nil, func(p *field.Path) field.ErrorList {
			errs := validate.Required(s.Secret.SecretName, p.Child("secretName"))
			errs = append(errs, fileMode(s.Secret.DefaultMode, p.Child("defaultMode"))...)
			errs = append(errs, fileUser(s.Secret.DefaultUser, p.Child("defaultUser"))...)
			return append(errs, keyPaths(s.Secret.Items, p.Child("items"))...)
		}},
		{"nfs", s.NFS != nil, nil},
		{"iscsi", s.ISCSI != nil, nil},
		{"glusterfs", s.Glusterfs != nil, nil},
		{"flocker", s.Flocker != nil, nil},
		{"persistentVolumeClaim", s.PersistentVolumeClaim != nil, func(p *field.Path) field.ErrorList {
			return validate.Required(s.PersistentVolumeClaim.ClaimName, p.Child("claimName"))
		}},
		{"rbd", s.RBD != nil, nil},
		{"cinder", s.Cinder != nil, nil},
		{"cephFS", s.CephFS != nil, nil},
		{"quobyte", s.Quobyte != nil, nil},
		{"downwarAPI", s.DownwardAPI != nil, func(*field.Path) field.ErrorList {
			p := volume.Child("downwardAPI") // spelled so in what follows
			errs := fileMode(s.DownwardAPI.DefaultMode, p.Child("defaultMode"))
			errs = append(errs, fileUser(s.DownwardAPI.DefaultUser, p.Child("defaultUser"))...)
			return append(errs, downwardFiles(s.DownwardAPI.Items, p)...)
		}},
		{"fc", s.FC != nil, nil},
		{"flexVolume", s.FlexVolume != nil, nil},
		{"configMap", s.ConfigMap != nil, func(p *field.Path) field.ErrorList {
			errs := validate.Required(s.ConfigMap.Name, p.Child("name"))
			errs = append(errs, fileMode(s.ConfigMap.DefaultMode, p.Child("defaultMode"))...)
			errs = append(errs, fileUser(s.ConfigMap.DefaultUser, p.Child("defaultUser"))...)
			return append(errs, keyPaths(s.ConfigMap.Items, p.Child("items"))...)
		}},
		{"azureFile", s.AzureFile != nil, nil},
		{"vsphereVolume", s.VsphereVolume != nil, nil},
		{"photonPersistentDisk", s.PhotonPersistentDisk != nil, nil},
		{"portworxVolume", s.PortworxVolume != nil, nil},
		{"azureDisk", s.AzureDisk != nil, nil},
		{"storageos", s.StorageOS != nil, nil},
		{"projected", s.Projected != nil, func(p *field.Path) field.ErrorList { return validateProjected(s.Projected, p) }},
		{"scaleIO", s.ScaleIO != nil, nil},
		{"csi", s.CSI != nil, func(p *field.Path) field.ErrorList {
			errs := validate.CSIDriverName(s.CSI.Driver, p.Child("driver"))
			switch ref := s.CSI.NodePublishSecretRef; {
			case ref == nil:
			case ref.Name == "":
				errs = append(errs, field.Required(p.Child("nodePublishSecretRef", "name"), ""))
			default:
				errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(ref.Name), p.Child("name"), ref.Name)...)
			}
			return errs
		}},
		{"ephemeral", s.Ephemeral != nil, func(p *field.Path) field.ErrorList {
			return validateEphemeral(v, meta, p.Child("volumeClaimTemplate"), volume.Child("name"))
		}},
		{"image", s.Image != nil, func(p *field.Path) field.ErrorList {
			errs := validate.Required(s.Image.Reference, p.Child("reference"))
			return append(errs, validate.OneOf(s.Image.PullPolicy, p.Child("pullPolicy"), corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)...)
		}},
	}
}

func validateHostPath(h *corev1.HostPathVolumeSource, p *field.Path) field.ErrorList {
	if h.Path == "" {
		return field.ErrorList{field.Required(p.Child("path"), "")}
	}
	errs := noBacksteps(h.Path, p.Child("path"))
	if h.Type != nil {
		errs = append(errs, validate.OneOfOrEmpty(*h.Type, p.Child("type"), corev1.HostPathDirectoryOrCreate, corev1.HostPathDirectory,
			corev1.HostPathFileOrCreate, corev1.HostPathFile, corev1.HostPathSocket, corev1.HostPathCharDev, corev1.HostPathBlockDev)...)
	}
	return errs
}

// validateEphemeral checks the claim that a pod will have made for it, by whose name it is
// called.
func validateEphemeral(v *corev1.Volume, meta *metav1.ObjectMeta, path, name *field.Path) field.ErrorList {
	t := v.Ephemeral.VolumeClaimTemplate
	var errs field.ErrorList
	if t == nil {
		errs = append(errs, field.Required(path, ""))
	} else {
		errs = append(errs, validate.TemplateMeta(&t.ObjectMeta, path.Child("metadata"))...)
		errs = append(errs, ValidateClaimSpec(&t.Spec, path.Child("spec"))...)
	}
	if meta == nil || meta.Name == "" || v.Name == "" {
		return errs
	}
	claim := meta.Name + "-" + v.Name
	for _, m := range validation.IsDNS1123Subdomain(claim) {
		errs = append(errs, field.Invalid(name, v.Name, fmt.Sprintf("PVC name %q: %v", claim, m)))
	}
	return errs
}

// fileUser is of a feature that is off: it is dropped from what the volume is, and stays in
// what it is besides.
func fileUser(user *int64, at *field.Path) field.ErrorList {
	if user == nil {
		return nil
	}
	return validate.InvalidIf(validation.IsValidUserID(*user), at, *user)
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
		errs = append(errs, fileUser(k.User, p.Child("user"))...)
	}
	return errs
}

// downwardFiles of a volume at p. Upstream leaves their indices out of the paths.
func downwardFiles(items []corev1.DownwardAPIVolumeFile, p *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range items {
		errs = append(errs, filePath(f.Path, p.Child("path"))...)
		errs = append(errs, fileMode(f.Mode, p.Child("mode"))...)
		errs = append(errs, fileUser(f.User, p.Child("user"))...)
		switch {
		case f.FieldRef != nil:
			errs = append(errs, validateFieldRef(f.FieldRef, volumeFields(), p.Child("fieldRef"))...)
			if f.ResourceFieldRef != nil {
				errs = append(errs, field.Invalid(p, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
			}
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
	errs = append(errs, fileUser(v.DefaultUser, at.Child("defaultUser"))...)
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
			errs = append(errs, fileUser(t.User, tp.Child("user"))...)
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
