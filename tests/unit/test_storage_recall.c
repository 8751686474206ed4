/*
 * test_storage_recall.c - mail that was deleted comes back: undelete, restore at a moment, and what
 * they stand on.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/bundle.h"
#include "modules/storage/uidl_set.h"

#include <stdio.h>
#include <string.h>

#define ANN "ann@example.org"

static uint64_t account_id(const char *name)
{
	struct pstn_account account;

	rig_account(&account, name);
	return account.id;
}

/* ---- which unique ids are there ---- */

static void knows_unique_ids(void)
{
	struct rig r;
	struct rig_listing l;
	struct pstn_maildrop *d;
	struct uidl_set set;
	bool held;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (int i = 0; i < 600; i++)
		rig_deliver_bytes(&r, ANN, i % 2 ? "Other" : "INBOX", "x\n", 2,
				  i == 100 ? "brought" : NULL, &status);
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){4}, 1), PSTN_OK);
	maildrop_table.close(d);
	CU_ASSERT_EQUAL(uidl_set_fill(&set, r.store, account_id(ANN), "inbox"), PSTN_OK);
	CU_ASSERT_EQUAL(set.count, 298);
	for (uint32_t i = 0; i < l.count; i++) {
		CU_ASSERT_EQUAL(uidl_set_assigned(&set, l.rows[i].uidl), i != 3 && i != 50);
		CU_ASSERT_EQUAL(uidl_set_holds(&set, l.rows[i].uidl, &held), PSTN_OK);
		CU_ASSERT_EQUAL(held, i != 3);
	}
	CU_ASSERT_EQUAL(uidl_set_holds(&set, "other", &held), PSTN_OK);
	CU_ASSERT_FALSE(held);
	uidl_set_free(&set);
	CU_ASSERT_EQUAL(uidl_set_fill(&set, r.store, account_id(ANN), "None"), PSTN_OK);
	CU_ASSERT_EQUAL(set.folder, 0);
	CU_ASSERT_EQUAL(uidl_set_holds(&set, l.rows[0].uidl, &held), PSTN_OK);
	CU_ASSERT_FALSE(held);
	uidl_set_free(&set);
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"which unique ids a folder has", knows_unique_ids},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage_recall", cases, argc > 1 ? argv[1] : NULL);
}
