package storageversionmigrator

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	migrationv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	migrationlisters "k8s.io/client-go/listers/storagemigration/v1"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// The reasons of conditions are upstream's.
const (
	reasonRunning   = "StorageVersionMigrationInProgress"
	reasonSucceeded = "StorageVersionMigrationSucceeded"
	reasonFailed    = "StorageVersionMigrationFailed"
)

// Controller reconciles StorageVersionMigrations that have not ended.
type Controller struct {
	client     kubernetes.Interface
	migrations migrationlisters.StorageVersionMigrationLister
	migrator   migrator
	log        *slog.Logger
	loop       *reconcile.Loop[string]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	migrations := d.Informers.Storagemigration().V1().StorageVersionMigrations()
	r := &Controller{
		client: d.Client, migrations: migrations.Lister(), log: d.Log,
		migrator: migrator{discovery: d.Client.Discovery(), objects: d.Metadata},
	}
	queue := func(m *migrationv1.StorageVersionMigration) {
		if !ended(m) {
			r.loop.Add(m.Name)
		}
	}
	r.loop = reconcile.New("storage-version-migrator", d.Log, r.reconcile,
		client.Watch(migrations.Informer(), queue, func(_, m *migrationv1.StorageVersionMigration) { queue(m) }, nil))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

// reconcile runs a migration from its beginning to its end. One that is cut short begins anew:
// what is written twice is stored as what is written once.
func (r *Controller) reconcile(ctx context.Context, name string) (time.Duration, error) {
	m, err := reconcile.Get(r.migrations, "StorageVersionMigration "+name, name)
	if m == nil || ended(m) {
		return 0, err
	}
	gvr, err := r.migrator.find(m.Spec.Resource)
	if err != nil {
		return 0, err
	}
	if gvr.Empty() {
		return 0, r.conclude(ctx, m, migrationv1.MigrationFailed, reasonFailed,
			fmt.Sprintf("resource %s is not served, or its objects cannot be listed and patched", m.Spec.Resource.String()))
	}
	if m.Status.ResourceVersion == "" {
		version, err := r.migrator.version(ctx, gvr)
		if err != nil {
			return 0, err
		}
		m.Status.ResourceVersion = version
		set(m, migrationv1.MigrationRunning, metav1.ConditionTrue, reasonRunning, "")
		if m, err = r.write(ctx, m); err != nil {
			return 0, err
		}
	}
	written, err := r.migrator.migrate(ctx, gvr)
	if err != nil {
		return 0, fmt.Errorf("migrate %s, after %d objects: %w", gvr, written, err)
	}
	r.log.Info("storage is migrated", "migration", name, "resource", gvr.String(), "objects", written)
	return 0, r.conclude(ctx, m, migrationv1.MigrationSucceeded, reasonSucceeded, "")
}

func (r *Controller) conclude(ctx context.Context, m *migrationv1.StorageVersionMigration, end migrationv1.MigrationConditionType, reason, message string) error {
	set(m, migrationv1.MigrationRunning, metav1.ConditionFalse, reason, "")
	set(m, end, metav1.ConditionTrue, reason, message)
	_, err := r.write(ctx, m)
	return err
}

func (r *Controller) write(ctx context.Context, m *migrationv1.StorageVersionMigration) (*migrationv1.StorageVersionMigration, error) {
	out, err := r.client.StoragemigrationV1().StorageVersionMigrations().UpdateStatus(ctx, m, metav1.UpdateOptions{})
	if err != nil {
		return nil, fmt.Errorf("write the status of StorageVersionMigration %s: %w", m.Name, err)
	}
	return out, nil
}

func set(m *migrationv1.StorageVersionMigration, t migrationv1.MigrationConditionType, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{Type: string(t), Status: status, Reason: reason, Message: message})
}

func ended(m *migrationv1.StorageVersionMigration) bool {
	return meta.IsStatusConditionTrue(m.Status.Conditions, string(migrationv1.MigrationSucceeded)) ||
		meta.IsStatusConditionTrue(m.Status.Conditions, string(migrationv1.MigrationFailed))
}
