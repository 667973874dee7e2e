//! The cases, each a promise.

mod answers;
mod faults;
mod openai;
mod openai_media;
mod patience;
mod pictures;
mod retries;
mod routed;
mod speech;
mod standins;
mod streams;
mod surface;
mod validation;

use std::pin::Pin;

use anyhow::Result;

use crate::{House, Kind};

type Run = for<'a> fn(&'a House<'_>) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

macro_rules! cases {
    ($($module:ident: $($name:ident),+;)+) => {
        &[$($(Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |house| Box::pin($module::$name(house)),
        }),+),+]
    };
}

pub(crate) fn all(kind: Kind) -> impl Iterator<Item = &'static Case> {
    let own = match kind {
        Kind::Keyless => KEYLESS,
        Kind::Upstream | Kind::Forgetful => UPSTREAM,
    };
    let lasting = if kind == Kind::Upstream { LASTING } else { &[] };
    ALWAYS.iter().chain(own).chain(lasting)
}

const ALWAYS: &[Case] = cases! {
    surface: health_is_told, the_contract_describes_itself, unknown_paths_and_methods_are_json_too,
        other_origins_may_call, preflights_are_answered, requests_have_an_id, what_is_for_the_log_stays_inside;
    validation: what_is_no_json_is_400, wrong_media_types_are_415, problems_are_told_all_at_once,
        lengths_and_sides_are_limited, characters_count_and_not_bytes, models_become_no_path, unknown_fields_are_ignored,
        uploads_are_limited, pictures_are_looked_at_before_they_are_decoded, forms_are_read_with_care;
    openai: models_are_listed_and_found, errors_are_openais, wrong_fields_are_named;
};

const KEYLESS: &[Case] = cases! {
    standins: every_answer_is_labelled, pictures_have_their_size_and_depend_on_the_prompt, speech_is_real_and_in_four_voices,
        what_cannot_be_spoken_is_the_callers_to_mend,
        recordings_get_their_duration, speech_is_found_in_a_recording, chat_says_what_it_is_and_quotes, vectors_are_normal_and_near,
        edits_answer_without_a_key, edits_do_what_is_asked_or_refuse, other_models_need_a_key, unknown_local_models_are_404;
    openai: stand_ins_say_so;
};

const UPSTREAM: &[Case] = cases! {
    answers: the_default_model_answers, pictures_come_in_every_form, speech_comes_in_every_form,
        vectors_come_in_every_shape, parameters_reach_the_wire_by_name, the_token_goes_to_the_upstream_alone,
        many_at_once_get_their_own;
    retries: transient_failures_are_tried_again, the_next_model_answers, models_that_are_gone_are_not_tried_again,
        fallback_can_be_off_or_named, refusals_are_not_tried_again, credentials_are_the_operators_business,
        rate_limits_are_passed_on, the_deadline_holds, retries_can_be_chosen;
    patience: another_model_answers_meanwhile,
        dripping_answers_end_with_the_deadline, forms_are_sent_again_whole, one_deadline_is_for_everything;
    routed: every_provider_draws, every_provider_speaks_and_hears, providers_edit_with_a_mask_where_they_can,
        providers_give_vectors, the_next_provider_answers_for_the_same_model,
        results_are_fetched_from_known_places_only, jobs_that_never_end_or_fail_are_told;
    faults: broken_answers_go_to_the_next_model, broken_answers_are_told, bytes_count_and_not_their_label, bodies_without_end_are_cut_off;
    pictures: masks_say_what_is_painted, strength_goes_without_a_mask, turned_pictures_are_set_upright,
        large_pictures_are_made_smaller, many_formats_are_taken;
    speech: forms_come_in_any_order, sounds_are_known_by_their_bytes;
    openai: chat_answers_whole, what_a_chat_says_reaches_the_model, tools_are_called, several_answers_and_probabilities_come,
        prompts_are_answered, vectors_come_as_asked, errors_of_models_keep_their_class;
    openai_media: pictures_come_as_base64_or_urls, a_transparent_mask_says_what_is_painted, speech_is_what_it_says,
        recordings_become_text_in_every_form;
    streams: events_come_as_the_model_speaks, every_dialect_ends_well, another_model_is_asked_until_something_is_said,
        what_breaks_off_is_never_done, the_first_token_has_a_deadline, silence_is_kept_alive, who_leaves_is_not_served;
};

/// What is learnt from one request and used in the next.
const LASTING: &[Case] = cases! {
    patience: who_fails_again_and_again_is_left_alone, a_storm_of_limits_stays_a_limit;
    routed: the_hub_is_asked_once_for_a_while;
};
