package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gantry-run/gantry/e2e"
)

const (
	// claimsAtOnce is how many claims the parallel figure makes together, each with its pod.
	claimsAtOnce = 100
	// syncedWrites is how many blocks a round of the overhead writes.
	syncedWrites = 500
	overheadRuns = 3
)

// provisioned is how long claims took: from the create call until they were bound, and from
// then until their pod was Ready.
type provisioned struct{ bound, mounted []time.Duration }

// volumes measures claims of the cluster's own class, n one after another and claimsAtOnce
// together, and what writing to a volume costs beside writing to a directory of its disk.
func (r *report) volumes(ctx context.Context, f *e2e.Flow, n int) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", f.Cluster.Kubeconfig)
	if err != nil {
		return err
	}
	cfg.QPS = -1
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	var one provisioned
	for i := range n {
		if err := one.provision(ctx, c, fmt.Sprintf("volume-%d", i)); err != nil {
			return err
		}
	}
	var all provisioned
	var names []string
	for i := range claimsAtOnce {
		names = append(names, fmt.Sprintf("volumes-%d", i))
	}
	if err := all.provision(ctx, c, names...); err != nil {
		return err
	}
	for _, row := range []struct {
		what string
		p    provisioned
	}{{"one after another", one}, {fmt.Sprintf("%d at once", claimsAtOnce), all}} {
		r.volumeRows = append(r.volumeRows, fmt.Sprintf("| %s (%d claims) | %s | %s |", row.what, len(row.p.bound), spread(row.p.bound), spread(row.p.mounted)))
	}
	return r.overhead(ctx, c, f)
}

// claims makes a cluster for nothing else.
func (b bench) claims(ctx context.Context, tools e2e.Tools, r *report) error {
	dir, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := e2e.NewFlow(ctx, tools, b.lab, filepath.Join(dir, "w"), []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
	if err != nil {
		return err
	}
	if err := f.Apply(ctx); err != nil {
		return err
	}
	if err := f.Cluster.ImportImage(ctx, f.Workers...); err != nil {
		return err
	}
	if err := r.volumes(ctx, f, b.pods/2); err != nil {
		return err
	}
	return f.Down(ctx)
}

func spread(d []time.Duration) string {
	return fmt.Sprintf("%d ms, %d ms", percentile(d, 50).Milliseconds(), percentile(d, 99).Milliseconds())
}

// provision makes claims with a pod each, waits until all pods are Ready and removes both.
func (p *provisioned) provision(ctx context.Context, c kubernetes.Interface, names ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	claims, pods := c.CoreV1().PersistentVolumeClaims(metav1.NamespaceDefault), c.CoreV1().Pods(metav1.NamespaceDefault)
	of := metav1.ListOptions{LabelSelector: "bench=" + names[0]}
	claimEvents, err := claims.Watch(ctx, of)
	if err != nil {
		return err
	}
	defer claimEvents.Stop()
	podEvents, err := pods.Watch(ctx, of)
	if err != nil {
		return err
	}
	defer podEvents.Stop()
	start := time.Now()
	failed := make(chan error, len(names))
	for _, name := range names {
		go func() {
			_, err := claims.Create(ctx, claim(name, names[0]), metav1.CreateOptions{})
			if err == nil {
				_, err = pods.Create(ctx, podWith(name, names[0]), metav1.CreateOptions{})
			}
			failed <- err
		}()
	}
	bound, ready := map[string]time.Duration{}, map[string]time.Duration{}
	for created := 0; len(bound) < len(names) || len(ready) < len(names); {
		select {
		case err := <-failed:
			if created++; err != nil {
				return err
			}
		case ev := <-claimEvents.ResultChan():
			if o, ok := ev.Object.(*corev1.PersistentVolumeClaim); ok && o.Status.Phase == corev1.ClaimBound && bound[o.Name] == 0 {
				bound[o.Name] = time.Since(start)
			}
		case ev := <-podEvents.ResultChan():
			if o, ok := ev.Object.(*corev1.Pod); ok && isReady(o) && ready[o.Name] == 0 {
				ready[o.Name] = time.Since(start)
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d claims were bound, %d pods ready: %w", len(bound), len(names), len(ready), ctx.Err())
		}
	}
	for _, name := range names {
		p.bound = append(p.bound, bound[name])
		p.mounted = append(p.mounted, ready[name]-bound[name])
	}
	return removeClaims(ctx, c, of)
}

// removeClaims removes pods, claims and their volumes.
func removeClaims(ctx context.Context, c kubernetes.Interface, of metav1.ListOptions) error {
	now := int64(0)
	if err := c.CoreV1().Pods(metav1.NamespaceDefault).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, of); err != nil {
		return err
	}
	if err := c.CoreV1().PersistentVolumeClaims(metav1.NamespaceDefault).DeleteCollection(ctx, metav1.DeleteOptions{}, of); err != nil {
		return err
	}
	return e2e.Eventually(ctx, 2*time.Minute, func(ctx context.Context) error {
		l, err := c.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		if err == nil && len(l.Items) > 0 {
			err = fmt.Errorf("%d volumes are still there", len(l.Items))
		}
		return err
	})
}

func claim(name, group string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"bench": group}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("16Mi")}},
		},
	}
}

// podWith is the pod of a claim of its name.
func podWith(name, group string) *corev1.Pod {
	p := pod(name, group)
	p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "volume", MountPath: "/volume"}}
	p.Spec.Volumes = []corev1.Volume{{Name: "volume", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
	}}}
	return p
}

// overhead has one pod write to a volume and to a directory of the same disk, by turns.
func (r *report) overhead(ctx context.Context, c kubernetes.Interface, f *e2e.Flow) error {
	const name = "overhead"
	p := podWith(name, name)
	p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "raw", MountPath: "/raw"})
	kind := corev1.HostPathDirectoryOrCreate
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "raw", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/gantry/bench", Type: &kind}}})
	if _, err := c.CoreV1().PersistentVolumeClaims(metav1.NamespaceDefault).Create(ctx, claim(name, name), metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := c.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, p, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := f.Cluster.Kubectl(ctx, "wait", "--for=condition=Ready", "pod/"+name, "--timeout=60s"); err != nil {
		return err
	}
	took := map[string][]time.Duration{}
	for range overheadRuns {
		for _, dir := range []string{"/raw", "/volume"} {
			out, err := f.Cluster.Kubectl(ctx, "exec", name, "--", "/hello", "sync", dir+"/file", fmt.Sprint(syncedWrites))
			if err != nil {
				return err
			}
			d, err := time.ParseDuration(strings.TrimSpace(out))
			if err != nil {
				return err
			}
			took[dir] = append(took[dir], d)
		}
	}
	raw, volume := percentile(took["/raw"], 50), percentile(took["/volume"], 50)
	r.writeRows = append(r.writeRows, fmt.Sprintf("| %d runs of %d, by turns | %d µs | %d µs | %.2f |", overheadRuns, syncedWrites,
		volume.Microseconds(), raw.Microseconds(), volume.Seconds()/raw.Seconds()))
	return removeClaims(ctx, c, metav1.ListOptions{LabelSelector: "bench=" + name})
}
