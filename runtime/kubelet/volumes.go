package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/kubelet/volume"
)

// volumeRefresh is how often the content of configuration volumes is compared
// with the API though no watch told of a change: tokens are renewed by it.
const volumeRefresh = 60 * time.Second

func (k *Kubelet) podDir(uid string) string { return filepath.Join(k.cfg.RootDir, "pods", uid) }

func (k *Kubelet) volumeDir(uid, kind, name string) string {
	return filepath.Join(k.podDir(uid), "volumes", kind, name)
}

// volumePath is where a prepared volume is on the host.
func (k *Kubelet) volumePath(pod *corev1.Pod, name string) (string, error) {
	for _, v := range pod.Spec.Volumes {
		if v.Name != name {
			continue
		}
		if v.HostPath != nil {
			return v.HostPath.Path, nil
		}
		kind, err := volumeKind(&v)
		return k.volumeDir(string(pod.UID), kind, name), err
	}
	return "", configErrorf("volume %q is mounted and not defined", name)
}

func volumeKind(v *corev1.Volume) (string, error) {
	switch {
	case v.EmptyDir != nil:
		return "empty-dir", nil
	case v.ConfigMap != nil:
		return "configmap", nil
	case v.Secret != nil:
		return "secret", nil
	case v.Projected != nil:
		return "projected", nil
	case v.DownwardAPI != nil:
		return "downward-api", nil
	}
	return "", configErrorf("volume %q is of a kind that this node does not have", v.Name)
}

func readOnlyVolume(pod *corev1.Pod, name string) bool {
	for _, v := range pod.Spec.Volumes {
		if v.Name == name {
			return v.ConfigMap != nil || v.Secret != nil || v.Projected != nil || v.DownwardAPI != nil
		}
	}
	return false
}

// refreshable says whether a pod has volumes whose content may change.
func refreshable(pod *corev1.Pod) bool {
	for _, v := range pod.Spec.Volumes {
		if v.ConfigMap != nil || v.Secret != nil || v.Projected != nil || v.DownwardAPI != nil {
			return true
		}
	}
	return false
}

// prepareVolumes makes and fills the pod's volumes; called again, it brings
// their content up to date.
func (k *Kubelet) prepareVolumes(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus, tokens *tokenCache) error {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if err := k.prepareVolume(ctx, pod, status, v, tokens); err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q: %w", v.Name, err)
		}
	}
	return nil
}

func (k *Kubelet) prepareVolume(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus, v *corev1.Volume, tokens *tokenCache) error {
	if v.HostPath != nil {
		return hostPath(v.HostPath)
	}
	kind, err := volumeKind(v)
	if err != nil {
		return err
	}
	dir := k.volumeDir(string(pod.UID), kind, v.Name)
	gid := -1
	if sc := pod.Spec.SecurityContext; sc != nil && sc.FSGroup != nil {
		gid = int(*sc.FSGroup)
	}
	if v.EmptyDir != nil {
		return emptyDir(dir, v.EmptyDir, gid)
	}
	if v.ConfigMap == nil { // secrets and tokens must not reach a disk
		if err := mountTmpfs(dir, 0); err != nil {
			return err
		}
	}
	files, err := k.volumeFiles(ctx, pod, status, v, tokens)
	if err != nil {
		return err
	}
	_, err = volume.Write(dir, files, gid)
	return err
}

func emptyDir(dir string, e *corev1.EmptyDirVolumeSource, gid int) error {
	if _, err := os.Stat(dir); err == nil && (e.Medium != corev1.StorageMediumMemory || isTmpfs(dir)) {
		return nil // one in memory is gone after the server was switched off
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if e.Medium == corev1.StorageMediumMemory {
		size := int64(0)
		if e.SizeLimit != nil {
			size = e.SizeLimit.Value()
		}
		if err := mountTmpfs(dir, size); err != nil {
			return err
		}
	}
	mode := fs.FileMode(0o777)
	if gid >= 0 {
		if err := os.Chown(dir, -1, gid); err != nil {
			return err
		}
		mode |= fs.ModeSetgid
	}
	return os.Chmod(dir, mode)
}

// mountTmpfs mounts a tmpfs of size bytes (0: the kernel's default) at dir,
// unless one is there.
func mountTmpfs(dir string, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if isTmpfs(dir) {
		return nil
	}
	opts := "mode=0755"
	if size > 0 {
		opts = fmt.Sprintf("size=%d", size)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, opts); err != nil {
		return fmt.Errorf("mount a tmpfs at %s: %w", dir, err)
	}
	return nil
}

// isTmpfs says whether a tmpfs is mounted at dir itself.
func isTmpfs(dir string) bool {
	var st unix.Statfs_t
	var up, own unix.Stat_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.TMPFS_MAGIC &&
		unix.Stat(dir, &own) == nil && unix.Stat(filepath.Dir(dir), &up) == nil && own.Dev != up.Dev
}

func hostPath(h *corev1.HostPathVolumeSource) error {
	kind := corev1.HostPathUnset
	if h.Type != nil {
		kind = *h.Type
	}
	switch kind {
	case corev1.HostPathUnset:
		return nil
	case corev1.HostPathDirectoryOrCreate:
		return os.MkdirAll(h.Path, 0o755)
	case corev1.HostPathFileOrCreate:
		f, err := os.OpenFile(h.Path, os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		return f.Close()
	}
	st, err := os.Stat(h.Path)
	if err != nil {
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	ok := map[corev1.HostPathType]bool{
		corev1.HostPathDirectory: st.IsDir(), corev1.HostPathFile: st.Mode().IsRegular(),
		corev1.HostPathSocket:   st.Mode()&fs.ModeSocket != 0,
		corev1.HostPathCharDev:  st.Mode()&fs.ModeCharDevice != 0,
		corev1.HostPathBlockDev: st.Mode()&fs.ModeDevice != 0 && st.Mode()&fs.ModeCharDevice == 0,
	}[kind]
	if !ok {
		return fmt.Errorf("hostPath type check failed: %s is not a %s", h.Path, kind)
	}
	return nil
}

// volumeFiles computes the content of a configuration volume.
func (k *Kubelet) volumeFiles(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus, v *corev1.Volume, tokens *tokenCache) ([]volume.File, error) {
	switch {
	case v.ConfigMap != nil:
		return k.configMapFiles(ctx, pod, &corev1.ConfigMapProjection{LocalObjectReference: v.ConfigMap.LocalObjectReference, Items: v.ConfigMap.Items, Optional: v.ConfigMap.Optional}, mode(v.ConfigMap.DefaultMode))
	case v.Secret != nil:
		return k.secretFiles(ctx, pod, &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: v.Secret.SecretName}, Items: v.Secret.Items, Optional: v.Secret.Optional}, mode(v.Secret.DefaultMode))
	case v.DownwardAPI != nil:
		return k.downwardFiles(pod, status, v.DownwardAPI.Items, mode(v.DownwardAPI.DefaultMode))
	}
	var all []volume.File
	def := mode(v.Projected.DefaultMode)
	for _, s := range v.Projected.Sources {
		var files []volume.File
		var err error
		switch {
		case s.ConfigMap != nil:
			files, err = k.configMapFiles(ctx, pod, s.ConfigMap, def)
		case s.Secret != nil:
			files, err = k.secretFiles(ctx, pod, s.Secret, def)
		case s.DownwardAPI != nil:
			files, err = k.downwardFiles(pod, status, s.DownwardAPI.Items, def)
		case s.ServiceAccountToken != nil:
			var token string
			token, err = k.token(ctx, pod, s.ServiceAccountToken, tokens)
			m := def
			if sc := pod.Spec.SecurityContext; (sc == nil || sc.FSGroup == nil) && !runsAsRoot(pod) {
				m = 0o644 // a user that is not root has to read its token
			} else {
				m = 0o600
			}
			files = []volume.File{{Path: s.ServiceAccountToken.Path, Data: []byte(token), Mode: m}}
		default:
			err = configErrorf("a source of the projected volume is of a kind that this node does not have")
		}
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

func runsAsRoot(pod *corev1.Pod) bool {
	for i := range pod.Spec.Containers {
		if s := securityOf(pod, &pod.Spec.Containers[i], ""); s.User == nil || *s.User != 0 {
			return false
		}
	}
	return true
}

func mode(m *int32) fs.FileMode {
	if m == nil {
		return 0o644
	}
	return fs.FileMode(*m)
}

func (k *Kubelet) configMapFiles(ctx context.Context, pod *corev1.Pod, p *corev1.ConfigMapProjection, def fs.FileMode) ([]volume.File, error) {
	cm, err := k.api.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && optional(p.Optional) {
		k.follow(pod, "ConfigMap", p.Name, "")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k.follow(pod, "ConfigMap", p.Name, cm.ResourceVersion)
	data := make(map[string][]byte, len(cm.Data)+len(cm.BinaryData))
	for key, v := range cm.Data {
		data[key] = []byte(v)
	}
	for key, v := range cm.BinaryData {
		data[key] = v
	}
	return keyFiles("configmap "+p.Name, data, p.Items, optional(p.Optional), def)
}

func (k *Kubelet) secretFiles(ctx context.Context, pod *corev1.Pod, p *corev1.SecretProjection, def fs.FileMode) ([]volume.File, error) {
	s, err := k.api.CoreV1().Secrets(pod.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && optional(p.Optional) {
		k.follow(pod, "Secret", p.Name, "")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k.follow(pod, "Secret", p.Name, s.ResourceVersion)
	return keyFiles("secret "+p.Name, s.Data, p.Items, optional(p.Optional), def)
}

// follow makes a later version of an object in a volume wake the pod.
func (k *Kubelet) follow(pod *corev1.Pod, kind, name, version string) {
	if w := k.worker(string(pod.UID)); w != nil {
		w.k.objects.use(w.life, objectKey{kind, pod.Namespace, name}, w.ref.UID, version, w.outdate)
	}
}

func keyFiles(of string, data map[string][]byte, items []corev1.KeyToPath, opt bool, def fs.FileMode) ([]volume.File, error) {
	var out []volume.File
	if len(items) == 0 {
		for key, v := range data {
			out = append(out, volume.File{Path: key, Data: v, Mode: def})
		}
		return out, nil
	}
	for _, it := range items {
		v, ok := data[it.Key]
		if !ok {
			if opt {
				continue
			}
			return nil, configErrorf("%s has no key %q", of, it.Key)
		}
		m := def
		if it.Mode != nil {
			m = fs.FileMode(*it.Mode)
		}
		out = append(out, volume.File{Path: it.Path, Data: v, Mode: m})
	}
	return out, nil
}

func (k *Kubelet) downwardFiles(pod *corev1.Pod, status *corev1.PodStatus, items []corev1.DownwardAPIVolumeFile, def fs.FileMode) ([]volume.File, error) {
	var out []volume.File
	for _, it := range items {
		var v string
		var err error
		switch {
		case it.FieldRef != nil:
			v, err = field(pod, status, it.FieldRef.FieldPath)
		case it.ResourceFieldRef != nil:
			v, err = resourceField(pod, &corev1.Container{}, k.allocatable(), it.ResourceFieldRef)
		}
		if err != nil {
			return nil, err
		}
		m := def
		if it.Mode != nil {
			m = fs.FileMode(*it.Mode)
		}
		out = append(out, volume.File{Path: it.Path, Data: []byte(v), Mode: m})
	}
	return out, nil
}

// tokenCache keeps a pod's service account tokens until four fifths of their
// time are over.
type tokenCache struct {
	mu     sync.Mutex
	tokens map[string]cachedToken
}

type cachedToken struct {
	token string
	renew time.Time
}

func (k *Kubelet) token(ctx context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection, cache *tokenCache) (string, error) {
	cache.mu.Lock()
	defer cache.mu.Unlock()
	key := fmt.Sprint(p.Audience, "/", p.Path)
	now := k.now()
	if c, ok := cache.tokens[key]; ok && now.Before(c.renew) {
		return c.token, nil
	}
	seconds := int64(3600)
	if p.ExpirationSeconds != nil {
		seconds = *p.ExpirationSeconds
	}
	req := &authnv1.TokenRequest{Spec: authnv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authnv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: types.UID(pod.UID)},
	}}
	if p.Audience != "" {
		req.Spec.Audiences = []string{p.Audience}
	}
	name := pod.Spec.ServiceAccountName
	if name == "" {
		name = "default"
	}
	res, err := k.api.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, name, req, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("request a token of service account %s: %w", name, err)
	}
	life := res.Status.ExpirationTimestamp.Sub(now)
	cache.tokens[key] = cachedToken{res.Status.Token, now.Add(life * 4 / 5)}
	return res.Status.Token, nil
}

// removePodDir unmounts the pod's volumes and removes its directory. What is
// mounted is never deleted through: a host path is not below it.
func (k *Kubelet) removePodDir(uid string) error {
	dir := k.podDir(uid)
	if err := unmountBelow(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the pod's directory: %w", err)
	}
	return nil
}

// unmountBelow unmounts everything below dir, the last mounted first.
func unmountBelow(dir string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var at []string
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Fields(line); len(f) > 4 && (f[4] == dir || strings.HasPrefix(f[4], dir+"/")) {
			at = append(at, f[4])
		}
	}
	for i := len(at) - 1; i >= 0; i-- {
		if err := unix.Unmount(at[i], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", at[i], err)
		}
	}
	return nil
}

// envSources fetches what a container's variables refer to.
func (k *Kubelet) envSources(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (sources, error) {
	src := sources{configMaps: map[string]*corev1.ConfigMap{}, secrets: map[string]*corev1.Secret{}}
	configMap := func(name string) error {
		if _, ok := src.configMaps[name]; ok {
			return nil
		}
		cm, err := k.api.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			cm, err = nil, nil
		}
		src.configMaps[name] = cm
		return err
	}
	secret := func(name string) error {
		if _, ok := src.secrets[name]; ok {
			return nil
		}
		s, err := k.api.CoreV1().Secrets(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			s, err = nil, nil
		}
		src.secrets[name] = s
		return err
	}
	var errs []error
	for _, f := range c.EnvFrom {
		if f.ConfigMapRef != nil {
			errs = append(errs, configMap(f.ConfigMapRef.Name))
		}
		if f.SecretRef != nil {
			errs = append(errs, secret(f.SecretRef.Name))
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
			errs = append(errs, configMap(e.ValueFrom.ConfigMapKeyRef.Name))
		}
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			errs = append(errs, secret(e.ValueFrom.SecretKeyRef.Name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return src, configErrorf("fetch what the environment refers to: %v", err)
	}
	links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
	src.services = k.servicesFor(pod.Namespace, links)
	return src, nil
}
