// What was handed out and not said anything of: against a list of events, at random.

#include "client/handed.h"

#include "proto/base/random.h"
#include "tests/unit/check_main.h"

enum { KEPT = 37, STEPS = 20000 };

struct model {
    struct event_id ids[KEPT + 1];
    uint32_t count;
};

static uint32_t model_find(const struct model *model, struct event_id id)
{
    uint32_t i = 0;
    while (i < model->count && event_id_compare(model->ids[i], id) != 0) {
        i++;
    }
    return i;
}

static void model_remove(struct model *model, uint32_t i)
{
    if (i < model->count) {
        memmove(&model->ids[i], &model->ids[i + 1], (model->count - i - 1) * sizeof *model->ids);
        model->count--;
    }
}

static void model_add(struct model *model, struct event_id id)
{
    model_remove(model, model_find(model, id));
    model->ids[model->count++] = id;
    if (model->count > KEPT) {
        model_remove(model, 0);
    }
}

static void compare(const struct handed *handed, const struct model *model)
{
    uint32_t place = 0;
    ck_assert_uint_eq(handed->events, model->count);
    for (uint32_t i = 0; i < handed->count; i++) {
        const struct done_range *run = &handed->runs[(handed->head + i) & (handed->capacity - 1)];
        for (uint64_t counter = run->first; counter <= run->last; counter++) {
            ck_assert_uint_lt(place, model->count);
            ck_assert_uint_eq(model->ids[place].counter, counter);
            ck_assert_uint_eq(model->ids[place].actor, run->actor);
            place++;
        }
    }
    ck_assert_uint_eq(place, model->count);
}

static void take_up_to(struct handed *handed, struct model *model, struct event_id id)
{
    uint32_t place = model_find(model, id);
    uint32_t runs = handed_up_to(handed, id);
    ck_assert((runs == 0) == (place == model->count));
    for (uint32_t i = 0; i < runs; i++) {
        struct done_range run = handed_take(handed, id);
        for (uint64_t counter = run.first; counter <= run.last; counter++) {
            ck_assert_uint_eq(model->ids[0].counter, counter);
            ck_assert_uint_eq(model->ids[0].actor, run.actor);
            model_remove(model, 0);
        }
    }
    ck_assert(model_find(model, id) == model->count);
}

START_TEST(it_is_a_list_of_events)
{
    struct random random;
    random_init(&random, test_seed());
    struct handed handed;
    struct model model = {0};
    uint64_t next[3] = {1, 1, 1};
    ck_assert_int_eq(handed_init(&handed, KEPT), 0);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint16_t actor = (uint16_t)(1 + random_below(&random, 2));
        uint64_t back = 1 + random_below(&random, 2 * KEPT);
        uint64_t old = next[actor] > back ? next[actor] - back : 1;
        struct event_id id = {.counter = old, .actor = actor};
        struct event_id other = id;
        switch (random_below(&random, 8)) {
        case 0:
            handed_remove(&handed, id);
            model_remove(&model, model_find(&model, id));
            break;
        case 1: // comes again, and is said to
            handed_add(&handed, id, true);
            model_add(&model, id);
            break;
        case 2: // everything may come again unsaid; one of it is done before
            handed_age(&handed);
            other.counter = old > 4 ? old - random_below(&random, 4) : 1;
            handed_remove(&handed, other);
            model_remove(&model, model_find(&model, other));
            handed_add(&handed, id, false);
            model_add(&model, id);
            break;
        case 3:
            take_up_to(&handed, &model, id);
            break;
        default:
            next[actor] += random_below(&random, 4) == 0 ? 2 : 1;
            id.counter = next[actor] - 1;
            if (model_find(&model, id) == model.count) {
                handed_add(&handed, id, false);
                model_add(&model, id);
            }
            break;
        }
        compare(&handed, &model);
    }
    handed_clear(&handed);
    ck_assert_uint_eq(handed_up_to(&handed, (struct event_id){.counter = 1, .actor = 1}), 0);
    handed_deinit(&handed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/handed");
    suite_add(suite, it_is_a_list_of_events);
    return check_main(suite);
}
