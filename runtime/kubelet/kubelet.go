package kubelet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet/sandbox"
)

// Kubelet runs a node's pods.
type Kubelet struct {
	cfg       config.KubeletConfig
	version   string
	api       kubernetes.Interface
	runtime   ContainerRuntime
	images    ImageStore
	network   PodNetwork
	sandboxes sandbox.Store
	log       *slog.Logger
	now       func() time.Time
	machine   machine
	objects   *objects
	born      time.Time     // when this process began
	starting  chan struct{} // slots for containers that are being started
	recorder  record.EventRecorder
	pods      corelisters.PodLister
	services  corelisters.ServiceLister

	mu             sync.Mutex
	workers        map[string]*worker // by pod UID
	running        sync.WaitGroup
	runtimeErr     error
	runtimeLost    time.Time // since when
	runtimeVersion string    // of the container runtime
	registered     bool
	serving        bool
	nodeWake       chan struct{}
}

// New returns a kubelet; version is what the node reports. Nothing is touched
// before Run.
func New(cfg config.KubeletConfig, version string, api kubernetes.Interface, rt ContainerRuntime, images ImageStore, network PodNetwork, log *slog.Logger) (*Kubelet, error) {
	m, err := readMachine(cfg)
	if err != nil {
		return nil, fmt.Errorf("read what this machine has: %w", err)
	}
	return &Kubelet{
		cfg: cfg, version: version, api: api, runtime: rt, images: images, network: network, log: log,
		sandboxes: sandbox.Store{Dir: config.NamespaceDir, Holder: config.Binary("gantry-hold")}, now: time.Now, machine: m, starting: make(chan struct{}, max(4, 2*m.cpus)),
		objects: &objects{api: api, watched: map[objectKey]*watched{}},
		workers: map[string]*worker{}, runtimeErr: errors.New("container runtime was not reached yet"),
		nodeWake: make(chan struct{}, 1), born: time.Now(),
	}, nil
}

// Ready implements process.Runner: the node is registered, its containers are
// known and the server listens.
func (k *Kubelet) Ready() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !k.serving:
		return errors.New("the kubelet's server does not listen yet")
	case k.runtimeErr != nil:
		return k.runtimeErr
	case !k.registered:
		return errors.New("the node is not registered yet")
	}
	return nil
}

// Run runs the node until ctx is done. Containers go on running after it.
func (k *Kubelet) Run(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(k.cfg.RootDir, "pods"), 0o750); err != nil {
		return fmt.Errorf("make the pods' directory: %w", err)
	}
	if err := k.ensureCgroups(); err != nil {
		return err
	}
	server, err := k.server()
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", k.cfg.BindAddress)
	if err != nil {
		return fmt.Errorf("listen for logs and sessions: %w", err)
	}
	go func() {
		if err := server.ServeTLS(ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
			k.log.Error("logs and sessions are no longer served", "error", err)
		}
	}()
	defer func() {
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := server.Shutdown(sctx); err != nil {
			server.Close() //nolint:errcheck // sessions end with the process
		}
	}()
	k.mu.Lock()
	k.serving = true
	k.mu.Unlock()

	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: k.api.CoreV1().Events("")})
	k.recorder = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: k.cfg.NodeName})

	podFactory := client.Informers(k.api, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", k.cfg.NodeName).String()
	}))
	serviceFactory := client.Informers(k.api)
	podInformer := podFactory.Core().V1().Pods().Informer()
	serviceInformer := serviceFactory.Core().V1().Services().Informer()
	k.pods, k.services = podFactory.Core().V1().Pods().Lister(), serviceFactory.Core().V1().Services().Lister()
	podFactory.Start(ctx.Done())
	serviceFactory.Start(ctx.Done())
	defer podFactory.Shutdown()
	defer serviceFactory.Shutdown()

	k.running.Go(func() { k.keepNode(ctx) })
	defer k.running.Wait()
	if !cache.WaitForCacheSync(ctx.Done(), podInformer.HasSynced, serviceInformer.HasSynced) {
		return nil
	}
	if err := k.adopt(ctx); err != nil {
		return err
	}
	if _, err := podInformer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.dispatch(ctx, o.(*corev1.Pod), false) },
		UpdateFunc: func(_, o any) { k.dispatch(ctx, o.(*corev1.Pod), false) },
		DeleteFunc: func(o any) {
			if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = d.Obj
			}
			if p, ok := o.(*corev1.Pod); ok {
				k.dispatch(ctx, p, true)
			}
		},
	}); err != nil {
		return fmt.Errorf("watch the pods: %w", err)
	}
	k.watchRuntime(ctx)
	return nil
}

// adopt takes over what runs: containers of pods that still exist go on under a
// worker; what belongs to pods that went is removed.
func (k *Kubelet) adopt(ctx context.Context) error {
	var all []Container
	for {
		var err error
		if k.runtimeVersion, err = k.runtime.Version(ctx); err == nil {
			if all, err = k.runtime.List(ctx, ""); err == nil {
				break
			}
		}
		k.setRuntimeErr(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
	k.setRuntimeErr(nil)
	pods, err := k.pods.List(labels.Everything())
	if err != nil {
		return err
	}
	byUID := map[string][]Container{}
	for _, c := range all {
		byUID[c.Pod.UID] = append(byUID[c.Pod.UID], c)
	}
	keep := make([]string, 0, len(pods))
	for _, p := range pods {
		uid := string(p.UID)
		keep = append(keep, uid)
		k.startWorker(ctx, p, byUID[uid])
		delete(byUID, uid)
	}
	k.running.Go(func() { k.removeOrphans(ctx, byUID, keep) })
	return nil
}

// dispatch hands a pod to its worker.
func (k *Kubelet) dispatch(ctx context.Context, pod *corev1.Pod, gone bool) {
	k.mu.Lock()
	w := k.workers[string(pod.UID)]
	k.mu.Unlock()
	switch {
	case w != nil:
		w.setPod(pod, gone)
	case !gone:
		k.startWorker(ctx, pod, nil)
	}
}

func (k *Kubelet) startWorker(ctx context.Context, pod *corev1.Pod, containers []Container) {
	uid := string(pod.UID)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.workers[uid] != nil || ctx.Err() != nil {
		return
	}
	w := newWorker(ctx, k, pod, containers)
	k.workers[uid] = w
	k.running.Go(func() {
		w.run(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.workers, uid)
	})
}

func (k *Kubelet) worker(uid string) *worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.workers[uid]
}

// watchRuntime follows the ends of containers, across restarts of the runtime.
func (k *Kubelet) watchRuntime(ctx context.Context) {
	for ctx.Err() == nil {
		err := k.runtime.Watch(ctx, func() { k.running.Go(func() { k.resync(ctx) }) }, func(c Container) {
			if w := k.worker(c.Pod.UID); w != nil {
				w.deliver(c)
			}
		})
		if ctx.Err() != nil {
			return
		}
		k.log.Warn("the container runtime went away", "error", err)
		k.setRuntimeErr(err)
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// resync tells the workers how their containers are, after events may have been
// missed.
func (k *Kubelet) resync(ctx context.Context) {
	version, err := k.runtime.Version(ctx)
	if err == nil {
		var all []Container
		if all, err = k.runtime.List(ctx, ""); err == nil {
			byUID := map[string][]Container{}
			for _, c := range all {
				if c.State == StateExited {
					byUID[c.Pod.UID] = append(byUID[c.Pod.UID], c)
				}
			}
			for uid, list := range byUID {
				if w := k.worker(uid); w != nil {
					w.deliver(list...)
				}
			}
			k.mu.Lock()
			k.runtimeVersion = version
			k.mu.Unlock()
		}
	}
	if err != nil && ctx.Err() == nil {
		k.log.Warn("cannot list the containers", "error", err)
	}
	k.setRuntimeErr(err)
}

func (k *Kubelet) setRuntimeErr(err error) {
	k.mu.Lock()
	changed := (k.runtimeErr == nil) != (err == nil)
	k.runtimeErr = err
	if changed {
		k.runtimeLost = k.now()
	}
	k.mu.Unlock()
	if !changed {
		return
	}
	if err != nil {
		time.AfterFunc(runtimeGrace, k.wakeNode)
		return
	}
	k.wakeNode()
}

func (k *Kubelet) wakeNode() {
	select {
	case k.nodeWake <- struct{}{}:
	default:
	}
}

// runtimeGrace is how long the container runtime may be away, to be restarted or
// upgraded, before the node says that it is not ready: its pods run on meanwhile.
const runtimeGrace = 10 * time.Second

// removeOrphans removes what pods left that went while this process was away.
func (k *Kubelet) removeOrphans(ctx context.Context, orphans map[string][]Container, keep []string) {
	known := map[string]bool{}
	for _, uid := range keep {
		known[uid] = true
	}
	for _, list := range orphans {
		for _, c := range list {
			k.log.Info("removing a container whose pod is gone", "pod", c.Pod.Namespace+"/"+c.Pod.Name, "container", c.Name)
			if err := k.runtime.Remove(ctx, c.ID); err != nil {
				k.log.Warn("an orphaned container is not removed", "container", c.ID, "error", err)
			}
			os.RemoveAll(k.podLogDir(c.Pod)) //nolint:errcheck // seen at the next start
		}
	}
	dirs, _ := os.ReadDir(filepath.Join(k.cfg.RootDir, "pods"))
	uids, _ := k.sandboxes.List()
	for _, d := range dirs {
		uids = append(uids, d.Name())
	}
	for _, uid := range uids {
		if known[uid] || k.worker(uid) != nil {
			continue
		}
		err := errors.Join(k.network.Detach(ctx, uid), k.sandboxes.Remove(uid), k.removePodDir(uid), k.removeCgroups(uid))
		if err != nil {
			k.log.Warn("the remains of a pod are not removed", "uid", uid, "error", err)
		}
	}
}

func (k *Kubelet) event(pod *corev1.Pod, kind, reason, message string) {
	if k.recorder != nil {
		k.recorder.Event(pod, kind, reason, message)
	}
}

// servicesFor are the Services that a pod's environment names.
func (k *Kubelet) servicesFor(namespace string, links bool) []*corev1.Service {
	var out []*corev1.Service
	add := func(s *corev1.Service) {
		if s != nil && s.Spec.ClusterIP != "" && s.Spec.ClusterIP != corev1.ClusterIPNone {
			out = append(out, s)
		}
	}
	api, _ := k.services.Services(metav1.NamespaceDefault).Get("kubernetes")
	add(api)
	if links {
		all, _ := k.services.Services(namespace).List(labels.Everything())
		for _, s := range all {
			if s != api {
				add(s)
			}
		}
	}
	return out
}
