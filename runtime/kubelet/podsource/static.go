package podsource

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/pod"
)

// retryDelay is the pause before a directory that could not be watched is tried again.
const retryDelay = time.Second

// Static are the pods whose manifests are in a directory of the server. Their status is
// the one that the API has of their mirror pods.
type Static struct {
	from    manifests
	mirrors func(namespace, name string) *corev1.Pod // nil: none is known
	log     *slog.Logger

	mu      sync.Mutex
	synced  bool
	files   map[string]*corev1.Pod           // by path: what was read last
	pods    map[cache.ObjectName]*corev1.Pod // that are to run
	leaving map[cache.ObjectName]*corev1.Pod // of that name, ends first
	handler Handler                          // nil: nobody handles changes yet
}

// NewStatic returns the source of the pods in a directory; mirror is the pod of the API
// with a name, or nil.
func NewStatic(dir, nodeName string, decode Decode, mirror func(namespace, name string) *corev1.Pod, log *slog.Logger) *Static {
	return &Static{
		from: manifests{dir: dir, nodeName: nodeName, decode: decode, seen: time.Now}, mirrors: mirror, log: log,
		files: map[string]*corev1.Pod{}, pods: map[cache.ObjectName]*corev1.Pod{}, leaving: map[cache.ObjectName]*corev1.Pod{},
	}
}

// Start implements Source: it has read the directory once when it returns.
func (s *Static) Start(ctx context.Context) {
	watcher := s.look()
	go func() {
		for ctx.Err() == nil {
			if watcher == nil {
				select {
				case <-ctx.Done():
				case <-time.After(retryDelay):
				}
			} else {
				s.follow(ctx, watcher)
			}
			if ctx.Err() == nil {
				watcher = s.look()
			}
		}
	}()
}

// look makes the directory where it is missing, and reads it after its watch has begun; nil
// where that cannot be.
func (s *Static) look() *fsnotify.Watcher {
	err := os.MkdirAll(s.from.dir, 0o700)
	var watcher *fsnotify.Watcher
	if err == nil {
		watcher, err = fsnotify.NewWatcher()
	}
	if err == nil {
		if err = watcher.Add(s.from.dir); err != nil {
			watcher.Close()
			watcher = nil
		}
	}
	if err != nil {
		s.log.Warn("the static pods are not watched", "dir", s.from.dir, "error", err)
	}
	s.read()
	return watcher
}

// follow reads the directory at each change, until it is gone or ctx is done.
func (s *Static) follow(ctx context.Context, watcher *fsnotify.Watcher) {
	defer watcher.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-watcher.Errors:
			s.log.Warn("changes of static pods may be missed: all are read again", "dir", s.from.dir, "error", err)
			return
		case e := <-watcher.Events:
			s.read()
			if e.Name == s.from.dir && e.Has(fsnotify.Remove|fsnotify.Rename) {
				return
			}
		}
	}
}

// read takes up what is in the directory. A file that cannot be read, as one that is being
// written, leaves its pod as it was.
func (s *Static) read() {
	files, wrong, err := s.from.read()
	if err != nil {
		s.log.Warn("the static pods are not known", "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for path, err := range wrong {
		s.log.Warn("a static pod is not taken up", "file", path, "error", err)
		if was := s.files[path]; was != nil {
			files[path] = was
		}
	}
	wanted := map[cache.ObjectName]*corev1.Pod{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		p := files[path]
		if was := s.files[path]; was != nil && was.UID == p.UID {
			p = was // with the time when it was seen first
			files[path] = was
		}
		name := cache.MetaObjectToName(p)
		if wanted[name] != nil {
			s.log.Warn("a static pod is not taken up: another file has one of its name", "file", path, "pod", name.String())
			continue
		}
		wanted[name] = p
	}
	s.files, s.synced = files, true
	s.want(wanted)
}

// want ends the pods that are not wanted any more and begins those that are new: under a
// name, one after the other.
func (s *Static) want(wanted map[cache.ObjectName]*corev1.Pod) {
	was := s.pods
	s.pods = wanted
	for name, p := range was {
		if now := wanted[name]; now != nil && now.UID == p.UID {
			continue
		}
		if s.leaving[name] == nil && s.handler != nil {
			s.leaving[name] = leave(p)
			s.handler.UpdatePod(s.shown(s.leaving[name]))
		}
	}
	for name, p := range wanted {
		if was[name] != p && s.leaving[name] == nil && s.handler != nil {
			s.handler.UpdatePod(s.shown(p))
		}
	}
}

// leave is a pod that is deleted, as the API would say it.
func leave(p *corev1.Pod) *corev1.Pod {
	p = p.DeepCopy()
	p.DeletionTimestamp = ptr.To(metav1.Now())
	p.DeletionGracePeriodSeconds = ptr.To(ptr.Deref(p.Spec.TerminationGracePeriodSeconds, 30))
	p.DeletionTimestamp.Time = p.DeletionTimestamp.Add(time.Duration(*p.DeletionGracePeriodSeconds) * time.Second)
	return p
}

// shown is a pod with the status that the API has of it.
func (s *Static) shown(p *corev1.Pod) *corev1.Pod {
	mirror := s.mirrors(p.Namespace, p.Name)
	if mirror == nil || !isMirrorOf(mirror, p) {
		return p
	}
	p = p.DeepCopy()
	p.Status = *mirror.Status.DeepCopy()
	return p
}

// isMirrorOf says whether a pod of the API shows what is in the file now.
func isMirrorOf(mirror, static *corev1.Pod) bool {
	return mirror.Annotations[corev1.MirrorPodAnnotationKey] == static.Annotations[pod.ConfigHashAnnotation]
}

// Ended is told of each pod of which nothing is left; one that waited for its name begins.
func (s *Static) Ended(namespace, name string, uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := cache.NewObjectName(namespace, name)
	if left := s.leaving[key]; left == nil || left.UID != uid {
		return
	}
	delete(s.leaving, key)
	if next := s.pods[key]; next != nil && s.handler != nil {
		s.handler.UpdatePod(s.shown(next))
	}
}

// Refresh has a pod handled anew: what the API has of it has changed. It reports whether
// there is such a pod.
func (s *Static) Refresh(namespace, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.named(cache.NewObjectName(namespace, name))
	if p != nil && s.handler != nil {
		s.handler.UpdatePod(s.shown(p))
	}
	return p != nil
}

// named is the pod that has a name now.
func (s *Static) named(name cache.ObjectName) *corev1.Pod {
	return cmp.Or(s.leaving[name], s.pods[name])
}

// Synced implements Source.
func (s *Static) Synced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.synced
}

// Pods implements Source.
func (s *Static) Pods() []*corev1.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := maps.Clone(s.pods)
	maps.Copy(names, s.leaving)
	out := make([]*corev1.Pod, 0, len(names))
	for _, p := range names {
		out = append(out, s.shown(p))
	}
	return out
}

// Pod implements Source.
func (s *Static) Pod(namespace, name string) *corev1.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.named(cache.NewObjectName(namespace, name)); p != nil {
		return s.shown(p)
	}
	return nil
}

// Handle implements Source.
func (s *Static) Handle(h Handler) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
	for _, p := range s.pods {
		h.UpdatePod(s.shown(p))
	}
	return nil
}
