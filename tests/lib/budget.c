// SPDX-License-Identifier: GPL-2.0-only
/*
 * Budgets: see budget.h.
 */
#include <stdio.h>
#include <string.h>

#include "budget.h"
#include "dma.h"

#define CHECK_LEN	(16 * MiB)
#define CHECK_MAX	(3 * MiB)

static void budget_path(char *path, size_t size, const char *bdf, const char *name)
{
	snprintf(path, size, KNOB_IOPF_DIR "/containers/%llu/%s",
		 (unsigned long long)iopf_count(bdf, "container"), name);
}

int budget_write(const char *bdf, const char *name, const char *text)
{
	char path[128];

	budget_path(path, sizeof(path), bdf, name);
	return mem_write_file(path, "%s", text);
}

int budget_set(const char *bdf, const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return budget_write(bdf, name, text);
}

uint64_t budget_get(const char *bdf, const char *name)
{
	char path[128], text[64];
	uint64_t value;

	budget_path(path, sizeof(path), bdf, name);
	must(knob_read_text(text, sizeof(text), "%s", path));
	if (!strcmp(text, "max"))
		return UINT64_MAX;
	must(knob_read_try(&value, "%s", path));
	return value;
}

uint64_t budget_gen(const char *bdf, const char *gen)
{
	unsigned long long value;
	char path[128], name[16];
	bool found = false;
	FILE *f;

	budget_path(path, sizeof(path), bdf, "lru");
	f = fopen(path, "r");
	must_be(f);
	while (!found && fscanf(f, "%15s %llu", name, &value) == 2)
		found = !strcmp(name, gen);
	fclose(f);
	must_be(found);
	return value;
}

void budget_none(const char *bdf)
{
	static const char *const files[] = {
		"resident_high", "resident_max", "pinned_high", "pinned_max", "aging_interval",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(files); i++)
		must(budget_write(bdf, files[i], "max"));
}

uint64_t budget_mapped(void)
{
	return sim_iommu_count("leaves_4k") * MEM_PAGE + sim_iommu_count("leaves_2m") * MEM_HUGE;
}

static void *watch(void *arg)
{
	struct budget_watch *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		uint64_t now = budget_mapped();

		if (now > w->most)
			w->most = now;
		w->reads++;
	}
	return NULL;
}

void budget_watch(struct budget_watch *w)
{
	*w = (struct budget_watch){ };
	must(-pthread_create(&w->thread, NULL, watch, w));
}

uint64_t budget_watch_end(struct budget_watch *w)
{
	__atomic_store_n(&w->stop, true, __ATOMIC_RELAXED);
	pthread_join(w->thread, NULL);
	return w->most;
}

void budget_check(struct rig *r)
{
	struct simbuf b[2] = {
		{ mem_anon(CHECK_LEN), RIG_IOVA, CHECK_LEN },
		{ mem_anon(CHECK_LEN), RIG_IOVA + 2 * CHECK_LEN, CHECK_LEN },
	};
	const char *bdf = r->vfio[0].bdf;
	uint64_t evicted, most;
	struct budget_watch w;
	struct dma d[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(b[i].va, 1, b[i].len);
		rig_map(r, &b[i]);
	}
	must(budget_set(bdf, "resident_max", CHECK_MAX));
	evicted = budget_get(bdf, "evicted");
	budget_watch(&w);
	for (i = 0; i < 2; i++)
		dma_start_both(&d[i], &r->sim[i], &b[i], 10 + i);
	for (i = 0; i < 2; i++)
		dma_wait_rounds(&d[i], 2);
	most = budget_watch_end(&w);
	for (i = 0; i < 2; i++)
		tap_is(dma_stop(&d[i]), 0, "device %u: every byte is right", i);
	tap_ok(most && most <= CHECK_MAX, "at most %lu KiB of %lu MiB mapped: %llu, in %llu reads",
	       CHECK_MAX / 1024, 2 * CHECK_LEN / MiB, (unsigned long long)most / 1024,
	       (unsigned long long)w.reads);
	evicted = budget_get(bdf, "evicted") - evicted;
	tap_ok(evicted >= 2 * (CHECK_LEN - CHECK_MAX) / MEM_PAGE, "the rest has gone: %llu pages",
	       (unsigned long long)evicted);
	for (i = 0; i < 2; i++) {
		rig_unmap(r, &b[i]);
		mem_unmap(b[i].va, b[i].len);
	}
	tap_is(budget_get(bdf, "resident"), 0, "nothing is left charged");
	must(budget_write(bdf, "resident_max", "max"));
}
